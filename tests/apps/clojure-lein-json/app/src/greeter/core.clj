(ns greeter.core
  (:require [clojure.data.json :as json])
  (:import (com.sun.net.httpserver HttpExchange HttpHandler HttpServer)
           (java.net InetSocketAddress))
  (:gen-class))

(defn greeting []
  (json/write-str {:language "clojure" :tool "lein" :words ["hello" "world"]}))

(defn handler []
  (reify HttpHandler
    (handle [_ exchange]
      (let [body (.getBytes ^String (greeting) "UTF-8")]
        (.sendResponseHeaders exchange 200 (alength body))
        (with-open [out (.getResponseBody exchange)]
          (.write out body))))))

(defn -main [& _]
  (let [port (parse-long (or (System/getenv "PORT") "5000"))
        server (HttpServer/create (InetSocketAddress. port) 0)]
    (.createContext server "/" (handler))
    (.start server)))
