(defproject greeter "0.1.0"
  :description "A greeting as JSON"
  :repositories ^:replace [["central" {:url "https://repo.maven.apache.org/maven2/"}]]
  :plugin-repositories ^:replace [["central" {:url "https://repo.maven.apache.org/maven2/"}]]
  :dependencies [[org.clojure/clojure "1.12.0"]
                 [org.clojure/data.json "2.5.1"]]
  :main ^:skip-aot greeter.core
  :profiles {:dev {:dependencies [[org.clojure/tools.namespace "1.5.0"]]}
             :uberjar {:aot :all}})
