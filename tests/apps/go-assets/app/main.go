package main

import (
	"embed"
	"io/fs"
	"log"
	"net/http"
	"os"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
)

// Written by `npm run build`: without it, this does not compile.
//
//go:embed web/dist
var built embed.FS

func main() {
	web, err := fs.Sub(built, "web/dist")
	if err != nil {
		log.Fatal(err)
	}
	router := chi.NewRouter()
	router.Use(middleware.Recoverer)
	router.Handle("/*", http.FileServerFS(web))
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), router))
}
