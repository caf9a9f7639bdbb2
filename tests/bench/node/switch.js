// A task switch: 1000 async functions, each awaiting in a loop; prints ns per switch.
// usage: switch.js N null       await null: a turn of the microtask queue, which lets no I/O in
//        switch.js N immediate  await a setImmediate: a turn of the event loop
'use strict';
const clock = require('./clock');

const TASKS = 1000;
const rounds = Math.floor(Number(process.argv[2]) / TASKS);

async function microtasks() {
  for (let i = 0; i < rounds; i++) await null;
}

async function immediates() {
  for (let i = 0; i < rounds; i++) await new Promise(setImmediate);
}

async function main() {
  const worker = process.argv[3] === 'immediate' ? immediates : microtasks;
  const start = clock();
  await Promise.all(Array.from({ length: TASKS }, worker));
  console.log((clock() - start) * 1e9 / (rounds * TASKS));
}

main();
