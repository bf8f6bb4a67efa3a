package main

import (
	"encoding/json"
	"net/http"
	"os"
)

type answer struct {
	Certificates bool `json:"certificates"`
	Shell        bool `json:"shell"`
	User         int  `json:"user"`
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func main() {
	http.HandleFunc("/", func(writer http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(writer).Encode(answer{
			Certificates: exists("/etc/ssl/certs/ca-certificates.crt"),
			Shell:        exists("/bin/sh"),
			User:         os.Getuid(),
		})
	})
	http.ListenAndServe(":"+os.Getenv("PORT"), nil)
}
