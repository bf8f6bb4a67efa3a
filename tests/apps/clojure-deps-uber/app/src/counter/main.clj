(ns counter.main
  (:require [clojure.data.json :as json]
            [clojure.java.io :as io])
  (:import (com.sun.net.httpserver HttpExchange HttpHandler HttpServer)
           (java.net InetSocketAddress))
  (:gen-class))

(defn words []
  (json/write-str (into (sorted-map) (frequencies (json/read (io/reader (io/resource "words.json")))))))

(defn handler []
  (reify HttpHandler
    (handle [_ exchange]
      (let [body (.getBytes ^String (words) "UTF-8")]
        (.sendResponseHeaders exchange 200 (alength body))
        (with-open [out (.getResponseBody exchange)]
          (.write out body))))))

(defn -main [& _]
  (let [port (parse-long (or (System/getenv "PORT") "5000"))
        server (HttpServer/create (InetSocketAddress. port) 0)]
    (.createContext server "/" (handler))
    (.start server)))
