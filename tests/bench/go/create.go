// Start trivial goroutines in batches of 1000 and wait for each; prints ns for each.
// The second argument says how they are joined: "group" is one WaitGroup a batch, which
// drops the results; "channel" is one channel for each result, as a task has its own.
package main

import (
	"fmt"
	"os"
	"sync"
)

const batch = 1000

func one() int { return 1 }

func withGroup() int {
	var group sync.WaitGroup
	group.Add(batch)
	for i := 0; i < batch; i++ {
		go func() {
			one()
			group.Done()
		}()
	}
	group.Wait()
	return batch
}

func withChannels() (sum int) {
	results := make([]chan int, batch)
	for i := range results {
		result := make(chan int, 1)
		results[i] = result
		go func() { result <- one() }()
	}
	for _, result := range results {
		sum += <-result
	}
	return sum
}

func main() {
	batches, sum, collect := argument()/batch, 0, withGroup
	if os.Args[2] == "channel" {
		collect = withChannels
	}
	start := clock()
	for b := 0; b < batches; b++ {
		sum += collect()
	}
	spent := clock() - start
	if sum != batches*batch {
		panic("wrong sum")
	}
	fmt.Println(spent * 1e9 / float64(sum))
}
