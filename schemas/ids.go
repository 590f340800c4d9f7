package schemas

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/google/uuid"
)

// idSpace is the namespace of every id Kasi makes. Changing it changes every id.
var idSpace = uuid.MustParse("6b617369-0000-5000-8000-636f6c6c6563")

// FactID is the UUIDv5 of some facts: the same facts give the same id in every run.
func FactID(facts ...string) string {
	b := append(make([]byte, 0, 256), idSpace[:]...)
	for _, f := range facts {
		b = append(strconv.AppendInt(b, int64(len(f)), 10), ':')
		b = append(b, f...)
	}
	// What uuid.NewSHA1 does, without its allocations: every event has such an id.
	sum := sha1.Sum(b)
	id := uuid.UUID(sum[:16])
	id[6] = id[6]&0x0f | 5<<4
	id[8] = id[8]&0x3f | 0x80
	return id.String()
}

// PolicyID is made of (tenant, policy number).
func PolicyID(tenant, number string) string { return FactID("policy", tenant, number) }

// CollectionID is made of (policy, period).
func CollectionID(policyID string, p Period) string {
	return FactID("collection", policyID, string(p))
}

// SettlementID is made of (tenant, period, sequence).
func SettlementID(tenant string, p Period, seq int) string {
	return FactID("settlement", tenant, string(p), strconv.Itoa(seq))
}

// OpenItemID is made of the debit that the item is about.
func OpenItemID(debitID string) string { return FactID("open-item", debitID) }

// CustomerKey is the Kafka key of a customer's records: tenant and customer id, separated by a byte neither may hold.
func CustomerKey(tenant, customer string) string { return tenant + "\x1f" + customer }

// TenantOf is the tenant of a customer's key.
func TenantOf(key string) string {
	tenant, _, _ := strings.Cut(key, "\x1f")
	return tenant
}

// RoutingHash decides a key's partition. It is part of every debit id, so it can never change.
func RoutingHash(key string) uint32 { return uint32(xxhash.Sum64String(key)) }

// PartitionOf maps a routing hash to one of n partitions.
func PartitionOf(hash uint32, n int32) int32 { return int32(uint64(hash) % uint64(n)) }

// DebitID is a UUIDv8 written as 32 hexadecimal digits, since a rail carries at most 35 characters. Its first four
// bytes are the customer's routing hash: a bank returns nothing but this id, and the id itself leads to the partition.
// The rest is made of (collection, attempt).
func DebitID(tenant, customer, collectionID string, attempt int) string {
	return routedID(RoutingHash(CustomerKey(tenant, customer)), collectionID+"/"+strconv.Itoa(attempt))
}

// PayoutID is written as a debit's, with the tenant's routing hash. The rest is made of (settlement, number of the
// instruction).
func PayoutID(tenant, settlementID string, payout int) string {
	return routedID(RoutingHash(tenant), settlementID+"/"+strconv.Itoa(payout))
}

// routedID is a UUIDv8 of a text that begins with a routing hash.
func routedID(hash uint32, text string) string {
	sum := sha256.Sum256([]byte(text))
	var u uuid.UUID
	copy(u[:], sum[:16])
	binary.BigEndian.PutUint32(u[:4], hash)
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return hex.EncodeToString(u[:])
}

// DebitRoute is the routing hash inside a debit id. It refuses ids that cannot be ours.
func DebitRoute(debitID string) (uint32, error) { return route("debit_id", debitID) }

// PayoutRoute is the routing hash inside a payout id. It refuses ids that cannot be ours.
func PayoutRoute(payoutID string) (uint32, error) { return route("payout_id", payoutID) }

func route(field, id string) (uint32, error) {
	var u uuid.UUID
	if len(id) != 32 {
		return 0, fmt.Errorf("%s has %d characters; ours have 32 hexadecimal digits", field, len(id))
	}
	if _, err := hex.Decode(u[:], []byte(id)); err != nil {
		return 0, fmt.Errorf("%s is not hexadecimal", field)
	}
	if u.Version() != 8 || u.Variant() != uuid.RFC4122 {
		return 0, fmt.Errorf("%s is not a UUIDv8", field)
	}
	return binary.BigEndian.Uint32(u[:4]), nil
}
