package main

import (
	"log"
	"net/http"
	"os"

	"example.com/acme/libs/durations"
	"github.com/go-chi/chi/v5"
)

func main() {
	router := chi.NewRouter()
	router.Get("/", func(response http.ResponseWriter, request *http.Request) {
		response.Write([]byte(durations.InWords("36h")))
	})
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), router))
}
