// Package main serves the shop.
package main

func main() {}
