rootProject.name = "catalog"

include("web", "prices")
