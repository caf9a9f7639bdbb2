// A goroutine switch: 1000 goroutines, each yielding in a loop; prints ns per switch.
package main

import (
	"fmt"
	"runtime"
	"sync"
)

const tasks = 1000

func main() {
	rounds := argument() / tasks
	var group sync.WaitGroup
	group.Add(tasks)
	start := clock()
	for t := 0; t < tasks; t++ {
		go func() {
			for i := 0; i < rounds; i++ {
				runtime.Gosched()
			}
			group.Done()
		}()
	}
	group.Wait()
	fmt.Println((clock() - start) * 1e9 / float64(rounds*tasks))
}
