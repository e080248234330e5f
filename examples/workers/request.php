<?php
// A request that is under way until a file says that it may end.
$folder = $_SERVER['FOLDER'];
file_put_contents("$folder/{$_SERVER['NAME']}.started", getmypid());
while (!file_exists("$folder/go")) {
    clearstatcache();
    usleep(10000);
}
echo 'done';
