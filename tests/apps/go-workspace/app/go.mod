module example.com/app

go 1.25.0

replace example.com/lib => ./lib
