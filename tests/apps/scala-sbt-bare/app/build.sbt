name := "lines"
scalaVersion := "3.3.6"
libraryDependencies += "com.lihaoyi" %% "fansi" % "0.5.0"
