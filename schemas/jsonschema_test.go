package schemas_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/kasi-collections/kasi/schemas"
)

// published are the Go types whose JSON travels on the public topics.
var published = map[string]reflect.Type{
	schemas.TopicFeedTransactions: reflect.TypeFor[schemas.Transaction](),
	schemas.TopicFeedIncomes:      reflect.TypeFor[schemas.Income](),
	schemas.TopicRailResults:      reflect.TypeFor[schemas.Result](),
	schemas.TopicDebits:           reflect.TypeFor[schemas.DebitInstruction](),
	schemas.TopicDeposits:         reflect.TypeFor[schemas.DepositEvent](),
	schemas.TopicDecisions:        reflect.TypeFor[schemas.DecisionEvent](),
	schemas.TopicPolicies:         reflect.TypeFor[schemas.PolicyEvent](),
	schemas.TopicCollections:      reflect.TypeFor[schemas.CollectionEvent](),
	schemas.TopicSettlements:      reflect.TypeFor[schemas.SettlementEvent](),
	schemas.TopicPayouts:          reflect.TypeFor[schemas.PayoutEvent](),
	schemas.TopicPayoutResults:    reflect.TypeFor[schemas.PayoutResult](),
	schemas.TopicOpenItems:        reflect.TypeFor[schemas.OpenItemEvent](),
}

type object map[string]any

func (o object) at(key string) object {
	v, _ := o[key].(map[string]any)
	return v
}

func readSchema(t *testing.T, topic string) (object, *jsonschema.Schema) {
	name := "json/" + topic + ".schema.json"
	text, err := schemas.JSONSchemas.ReadFile(name)
	require.NoError(t, err, "every public topic has a schema")
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	require.NoError(t, c.AddResource(name, doc))
	schema, err := c.Compile(name)
	require.NoError(t, err, "the schema follows its own metaschema")
	raw, ok := doc.(map[string]any)
	require.True(t, ok)
	return raw, schema
}

// Every public topic has a schema, and nothing else does.
func TestEveryPublicTopicHasASchema(t *testing.T) {
	var want, got []string
	for _, topic := range schemas.Topics {
		if topic.Public {
			want = append(want, "json/"+topic.Name+".schema.json")
			require.Contains(t, published, topic.Name)
		}
	}
	files, err := fs.Glob(schemas.JSONSchemas, "json/*")
	require.NoError(t, err)
	got = append(got, files...)
	slices.Sort(want)
	require.Equal(t, want, got)
}

// The properties of a schema are the fields of its Go type, neither more nor fewer; what the type always writes is
// required; each field says what it is.
func TestSchemasDescribeTheTypes(t *testing.T) {
	for topic, typ := range published {
		doc, _ := readSchema(t, topic)
		require.Equal(t, "https://json-schema.org/draft/2020-12/schema", doc["$schema"])
		require.NotEmpty(t, doc["description"])
		describes(t, topic, doc, typ)
	}
}

func describes(t *testing.T, place string, schema object, typ reflect.Type) {
	required, optional := map[string]reflect.Type{}, map[string]reflect.Type{}
	fieldsOf(typ, required, optional)
	var always []string
	if list, ok := schema["required"].([]any); ok {
		for _, name := range list {
			always = append(always, name.(string))
		}
	}
	require.Len(t, schema.at("properties"), len(required)+len(optional), place)
	for name, field := range required {
		require.Contains(t, always, name, place)
		describesField(t, place+"."+name, schema.at("properties").at(name), field)
	}
	for name, field := range optional {
		require.NotContains(t, always, name, place)
		describesField(t, place+"."+name, schema.at("properties").at(name), field)
	}
}

func describesField(t *testing.T, place string, schema object, typ reflect.Type) {
	require.NotEmpty(t, schema["description"], place)
	for typ.Kind() == reflect.Slice && schema["items"] != nil || typ.Kind() == reflect.Pointer {
		if typ.Kind() == reflect.Slice {
			schema = schema.at("items")
		}
		typ = typ.Elem()
	}
	if typ.Kind() == reflect.Struct && schema["properties"] != nil {
		describes(t, place, schema, typ)
	}
}

// fieldsOf collects the JSON fields of a struct; embedded structs lie flat.
func fieldsOf(typ reflect.Type, required, optional map[string]reflect.Type) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		if f.Anonymous {
			fieldsOf(f.Type, required, optional)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if strings.Contains(options, "omitempty") {
			optional[name] = f.Type
		} else {
			required[name] = f.Type
		}
	}
}

// A settlement as the settle stage writes it passes; a mistake in any figure's type does not.
func TestSettlementSchemaOnAValue(t *testing.T) {
	_, schema := readSchema(t, schemas.TopicSettlements)
	ev := schemas.SettlementEvent{
		Meta:         schemas.Meta{EventID: schemas.FactID("x"), Seq: 1, BusinessDate: "2025-12-02"},
		SettlementID: schemas.SettlementID("acme", "2025-11", 1), TenantID: "acme", Number: "SETTLE-2025-11-001",
		PeriodMonth: "2025-11",
		Sequence:    1, Version: 1, TotalCollectionsCents: -5, PaymentDate: "2025-12-03",
		PaymentReference: "EFT-20251203-001",
		Status:           schemas.SettlementPending, Change: schemas.SettlementCreated, Coverage: []schemas.Coverage{{
			Period: "2025-11", From: []int64{0},
			To: []int64{7},
		}},
	}
	text, err := json.Marshal(ev)
	require.NoError(t, err)
	accepts := func(text string) error {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		require.NoError(t, err)
		return schema.Validate(doc)
	}
	require.NoError(t, accepts(string(text)))
	for _, change := range [][2]string{
		{`"total_collections_cents":-5`, `"total_collections_cents":-5.5`},
		{`"status":"pending"`, `"status":"open"`},
		{`"SETTLE-2025-11-001"`, `"SETTLE-2025-11-1"`},
		{`"from":[0]`, `"from":[-1]`},
		{`"payment_date":"2025-12-03"`, `"payment_date":"3 Dec"`},
	} {
		changed := strings.Replace(string(text), change[0], change[1], 1)
		require.NotEqual(t, string(text), changed)
		require.Error(t, accepts(changed), change[1])
	}
}
