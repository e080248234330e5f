//! A real daemon: nginx with everything it uses in a directory of the test's own.

use super::TempDir;

/// Writes nginx's configuration, for a server at the socket `socket` that answers `served`, and at `/slow` asks another
/// server, at the socket `upstream`. `daemon` is `on` or `off`. Returns the file's name.
pub fn nginx_settings(temp: &TempDir, daemon: &str) -> String {
    let place = temp.path().display();
    let directories: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {place}/{name};\n"))
        .concat();
    let text = format!(
        "daemon {daemon};\nuser root;\nworker_processes 2;\npid {place}/pid;\nerror_log {place}/error;\nevents {{}}\n\
         http {{\naccess_log off;\n{directories}server {{\nlisten unix:{place}/socket;\n\
         location / {{ return 200 \"served\\n\"; }}\n\
         location /slow {{ proxy_pass http://unix:{place}/upstream; }}\n}}\n}}\n"
    );
    temp.write("nginx.conf", text.as_bytes(), 0o644)
}
