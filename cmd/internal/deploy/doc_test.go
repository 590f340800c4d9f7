// Package deploy holds the tests of what is in deploy/: compose, the chart, the dashboard and the alert rules. It is a
// module of its own, so that the libraries of Docker, Kubernetes and Prometheus stay out of the product's go.mod.
// `make test-deploy` runs it.
package deploy
