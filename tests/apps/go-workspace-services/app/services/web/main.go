package main

import (
	"log"
	"net/http"
	"os"

	"example.com/acme/libs/sizes"
)

func main() {
	http.HandleFunc("/", func(response http.ResponseWriter, request *http.Request) {
		response.Write([]byte(sizes.InWords(1 << 20)))
	})
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}
