// A node cluster whose primary drains its workers on SIGTERM: they take no new request and finish what they have.
const cluster = require('cluster');
const fs = require('fs');
const http = require('http');

const folder = process.env.FOLDER;

if (cluster.isPrimary) {
    cluster.fork();
    cluster.fork();
    process.on('SIGTERM', () => {
        console.log('draining');
        cluster.disconnect();
    });
    cluster.on('exit', () => {
        if (Object.keys(cluster.workers).length === 0) {
            process.exit(0);
        }
    });
} else {
    http.createServer((request, response) => {
        fs.writeFileSync(`${folder}${request.url}.started`, String(process.pid));
        const timer = setInterval(() => {
            if (fs.existsSync(`${folder}/go`)) {
                clearInterval(timer);
                response.setHeader('Connection', 'close');
                response.end('done');
            }
        }, 10);
    }).listen(`${folder}/socket`, () => console.log('listening'));
}
