(ns combinations.server
  (:require [clojure.math.combinatorics :as combinatorics])
  (:import (com.sun.net.httpserver HttpExchange HttpHandler HttpServer)
           (java.net InetSocketAddress)))

(defn combinations []
  (pr-str (combinatorics/combinations [1 2 3] (parse-long (System/getProperty "combinations.size")))))

(defn handler []
  (reify HttpHandler
    (handle [_ exchange]
      (let [body (.getBytes ^String (combinations) "UTF-8")]
        (.sendResponseHeaders exchange 200 (alength body))
        (with-open [out (.getResponseBody exchange)]
          (.write out body))))))

(defn -main [& _]
  (let [port (parse-long (or (System/getenv "PORT") "5000"))
        server (HttpServer/create (InetSocketAddress. port) 0)]
    (.createContext server "/" (handler))
    (.start server)))
