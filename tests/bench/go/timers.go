// Timers: set n of them at 1000 distinct times and let them fire; prints ns of processor time per timer.
package main

import (
	"fmt"
	"sync"
	"time"
)

func main() {
	n := argument()
	var group sync.WaitGroup
	group.Add(n)
	start := clock()
	for i := 0; i < n; i++ {
		time.AfterFunc(time.Duration(1+i%1000)*time.Millisecond, group.Done)
	}
	group.Wait()
	fmt.Println((clock() - start) * 1e9 / float64(n))
}
