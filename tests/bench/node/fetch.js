// GET of a small file, 100 requests at a time over connections that are kept; prints us of processor time per request.
// usage: NODE_EXTRA_CA_CERTS=CA fetch.js N URL
'use strict';
const clock = require('./clock');

const TOGETHER = 100;
const each = Math.floor(Number(process.argv[2]) / TOGETHER);
const url = process.argv[3];

async function client() {
  for (let i = 0; i < each; i++) {
    const response = await fetch(url);
    if (response.status !== 200 || await response.text() !== 'small\n') throw new Error(response.status);
  }
}

async function main() {
  const start = clock();
  await Promise.all(Array.from({ length: TOGETHER }, client));
  console.log((clock() - start) * 1e6 / (TOGETHER * each));
}

main();
