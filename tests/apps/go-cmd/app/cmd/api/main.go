/* The API. */
package main

import (
	"flag"
	"fmt"
	"net/http"
)

func main() {
	listen := flag.String("listen", ":8080", "where to listen")
	flag.Parse()
	http.HandleFunc("/", func(response http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(response, "hammer, saw")
	})
	if err := http.ListenAndServe(*listen, nil); err != nil {
		panic(err)
	}
}
