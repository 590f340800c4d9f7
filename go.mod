module github.com/kasi-collections/kasi

go 1.26

require (
	cloud.google.com/go v0.123.0 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/shopspring/decimal v1.6.0 // indirect
)
