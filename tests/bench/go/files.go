// Whole small files, 16 at a time; prints us of processor time per file.
// usage: files N FOLDER, which has the files 1 to N, of 1000 bytes each
package main

import (
	"fmt"
	"os"
	"sync"
)

const together = 16

func main() {
	n, folder := argument(), os.Args[2]
	var group sync.WaitGroup
	group.Add(together)
	start := clock()
	for first := 1; first <= together; first++ {
		go func(first int) {
			for i := first; i <= n; i += together {
				data, err := os.ReadFile(fmt.Sprintf("%s/%d", folder, i))
				if err != nil || len(data) != 1000 {
					panic(err)
				}
			}
			group.Done()
		}(first)
	}
	group.Wait()
	fmt.Println((clock() - start) * 1e6 / float64(n))
}
