// Sleeping goroutines: n of them asleep at once, at 1000 distinct times; prints bytes of resident memory
// for each and the seconds it took to create them and put them to sleep.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
)

func resident() float64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		panic(err)
	}
	var kib float64
	_, after, _ := strings.Cut(string(text), "VmRSS:")
	if _, err := fmt.Sscan(after, &kib); err != nil {
		panic(err)
	}
	return kib * 1024
}

func main() {
	n := argument()
	var started int64
	before, start := resident(), clock()
	for i := 0; i < n; i++ {
		go func(seconds int) {
			atomic.AddInt64(&started, 1)
			time.Sleep(time.Duration(seconds) * time.Second)
		}(3600 + i%1000)
	}
	for atomic.LoadInt64(&started) < int64(n) {
		runtime.Gosched()
	}
	spent := clock() - start
	fmt.Println((resident()-before)/float64(n), spent)
}
