// A server that sends back what it gets; prints its port.
// usage: echo copy|large|small: io.Copy, which takes splice(2), or a buffer of 64 KiB, or of 2
package main

import (
	"fmt"
	"io"
	"net"
	"os"
)

func echo(connection net.Conn, buffer []byte) {
	for {
		n, err := connection.Read(buffer)
		if err != nil {
			return
		}
		if _, err = connection.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func serve(connection net.Conn) {
	defer connection.Close()
	if os.Args[1] == "copy" {
		io.Copy(connection, connection)
	} else if os.Args[1] == "large" {
		echo(connection, make([]byte, 65536))
	} else {
		echo(connection, make([]byte, 2048))
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	for {
		connection, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		go serve(connection)
	}
}
