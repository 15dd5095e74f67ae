'use strict';
/**
 * Keeps npm's compiler warm for `mutate-contracts.ts`: starting it anew for each mutation takes as long as compiling. Takes the path
 * of a socket; a client sends the compiler's input, or nothing to be told the version, and closes its side.
 */
const { createServer } = require('node:net');
const solc = require('solc');

const server = createServer({ allowHalfOpen: true }, (socket) => {
  const chunks = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('error', () => socket.destroy());
  socket.on('end', () => {
    const input = Buffer.concat(chunks).toString('utf8');
    socket.end(input === '' ? `solc\nVersion: ${solc.version()}\n` : solc.compile(input));
  });
});
server.listen(process.argv[2], () => process.stdout.write('ready\n'));
// It ends with the process that started it.
process.stdin.resume().on('end', () => process.exit());
