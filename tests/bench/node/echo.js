// A server that sends back what it gets; prints its port.
// usage: echo.js pipe|write
'use strict';
const net = require('net');

const write = (socket) => {
  socket.on('data', (data) => {
    if (!socket.write(data)) socket.pause();
  });
  socket.on('drain', () => socket.resume());
};

const server = net.createServer({ noDelay: true }, (socket) => {
  socket.on('error', () => socket.destroy());
  if (process.argv[2] === 'pipe') socket.pipe(socket);
  else write(socket);
});
server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => console.log(server.address().port));
