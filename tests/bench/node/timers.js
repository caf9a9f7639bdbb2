// Timers: set n of them at 1000 distinct times and let them fire; prints ns of processor time per timer.
'use strict';
const clock = require('./clock');

const n = Number(process.argv[2]);
let left = n;
const start = clock();

function fire() {
  if (--left === 0) console.log((clock() - start) * 1e9 / n);
}

for (let i = 0; i < n; i++) setTimeout(fire, 1 + i % 1000);
