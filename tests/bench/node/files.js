// Whole small files, 16 at a time; prints us of processor time per file.
// usage: files.js N FOLDER, which has the files 1 to N, of 1000 bytes each
'use strict';
const { readFile } = require('fs/promises');
const clock = require('./clock');

const TOGETHER = 16;
const n = Number(process.argv[2]);
const folder = process.argv[3];

async function reader(first) {
  for (let i = first; i <= n; i += TOGETHER) {
    if ((await readFile(`${folder}/${i}`)).length !== 1000) throw new Error(i);
  }
}

async function main() {
  const start = clock();
  await Promise.all(Array.from({ length: TOGETHER }, (_, i) => reader(i + 1)));
  console.log((clock() - start) * 1e6 / n);
}

main();
