/* The API. */
package main

func main() {}
