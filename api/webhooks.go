package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kasi-collections/kasi/api/read"
	"github.com/kasi-collections/kasi/schemas"
)

// Webhooks keeps where tenants want to be told of events. What it returns is known to this process, and to whoever
// tells before the next event.
type Webhooks interface {
	// CheckURL says why an address cannot be a webhook's: "is not https".
	CheckURL(url string) error
	// Webhooks are those of a tenant.
	Webhooks(ctx context.Context, tenant string) ([]schemas.Webhook, error)
	// Make makes a webhook, and Rotate gives one a new secret, which both return.
	Make(ctx context.Context, w schemas.Webhook) (made schemas.Webhook, secret string, err error)
	Rotate(ctx context.Context, w schemas.Webhook) (now schemas.Webhook, secret string, err error)
	// Put changes a webhook, or deletes it.
	Put(ctx context.Context, w schemas.Webhook) (schemas.Webhook, error)
	// Seal makes an answer unreadable for all but Unseal.
	Seal(answer []byte) []byte
	Unseal(sealed []byte) ([]byte, error)
	// Redeliver asks for a delivery once more.
	Redeliver(ctx context.Context, d schemas.WebhookDelivery) (schemas.WebhookDelivery, error)
}

// maxWebhooks bounds the webhooks of a tenant.
const maxWebhooks = 20

func (s *server) webhookBody(w schemas.Webhook) Webhook {
	return Webhook{
		ID: w.ID, URL: w.URL, Events: w.Events, CreatedAt: s.shown(w.CreatedAt), UpdatedAt: s.shown(w.UpdatedAt),
	}
}

func (s *server) webhookMade(w schemas.Webhook, secret string) WebhookMade {
	return WebhookMade{
		ID: w.ID, URL: w.URL, Events: w.Events, Secret: secret, CreatedAt: s.shown(w.CreatedAt),
		UpdatedAt: s.shown(w.UpdatedAt),
	}
}

var errNoWebhooks = errors.New("an operator sets KASI_WEBHOOKS_SECRET, which their secrets are sealed with")

// webhooks are the tenant's.
func (s *server) webhooks(ctx context.Context) ([]schemas.Webhook, error) {
	if s.Webhooks == nil {
		return nil, unavailable(errNoWebhooks, "There are no webhooks here")
	}
	list, err := s.Webhooks.Webhooks(ctx, infoOf(ctx).tenant)
	if err != nil {
		return nil, unavailable(err, "The webhooks cannot be read from Kafka")
	}
	return list, nil
}

// webhook is one of the tenant's, or a 404.
func (s *server) webhook(ctx context.Context, id string) (schemas.Webhook, error) {
	list, err := s.webhooks(ctx)
	if err != nil {
		return schemas.Webhook{}, err
	}
	if i := slices.IndexFunc(list, func(w schemas.Webhook) bool { return w.ID == id }); i >= 0 {
		return list[i], nil
	}
	return schemas.Webhook{}, notFound("webhook", id)
}

// onWebhook answers a call about one webhook.
func (s *server) onWebhook(w http.ResponseWriter, r *http.Request, id string,
	answer func(ctx context.Context, hook schemas.Webhook) (status int, body any, err error),
) {
	s.respond(w, r, nil, func(ctx context.Context, _ *requestInfo) error {
		hook, err := s.webhook(ctx, id)
		if err != nil {
			return err
		}
		status, body, err := answer(ctx, hook)
		if err == nil {
			writeJSON(w, status, body)
		}
		return err
	})
}

// unwritten is the error of a webhook that could not be written.
func unwritten(err error) error {
	if err == nil {
		return nil
	}
	return unavailable(err, "The webhook could not be written to Kafka; try again")
}

// readWebhook reads what a caller says of a webhook into it.
func (s *server) readWebhook(w http.ResponseWriter, r *http.Request, required bool, hook *schemas.Webhook) error {
	const anAddress = "an https address such as https://example.com/kasi"
	in := readInput(w, r, "url", "events")
	if url, ok := in.value("url", required, jsonString, anAddress); ok {
		if err := s.Webhooks.CheckURL(url); err != nil {
			in.refuse(invalid("url", anAddress, url, "url %s", err))
		}
		hook.URL = url
	}
	if events, ok := in.webhookTypes("events", required); ok {
		hook.Events = events
	}
	for _, name := range []string{"url", "events"} {
		if string(in.fields[name]) == "null" {
			in.refuse(invalid(name, "a value", "null", "%s cannot be cleared; leave it out to keep it", name))
		}
	}
	if in.err == nil && !required && len(in.fields) == 0 {
		in.refuse(invalid("", "url, events", "neither", "There is nothing to change"))
	}
	return in.err
}

// webhookTypes reads an array of at least one type of event, in any case, each once.
func (in *input) webhookTypes(name string, required bool) (types []schemas.WebhookType, ok bool) {
	expected := "an array of at least one of " + aWebhookType.expected
	raw, ok := in.raw(name, required, expected)
	if !ok {
		return nil, false
	}
	var items []json.RawMessage
	if raw[0] != '[' || json.Unmarshal(raw, &items) != nil {
		in.wrongType(name, expected, raw)
	} else if len(items) == 0 {
		in.refuse(invalid(name, expected, "[]", "%s is empty", name))
	}
	for i, item := range items {
		field := name + "[" + strconv.Itoa(i) + "]"
		one := &input{fields: map[string]json.RawMessage{field: item}, err: in.err}
		t, _ := check(one, field, true, aWebhookType)
		in.err = one.err
		if !slices.Contains(types, t) {
			types = append(types, t)
		}
	}
	return types, true
}

// CreateWebhook is POST /webhooks.
func (s *server) CreateWebhook(w http.ResponseWriter, r *http.Request, _ CreateWebhookParams) {
	s.respond(w, r, nil, func(ctx context.Context, info *requestInfo) error {
		list, err := s.webhooks(ctx)
		if err != nil {
			return err
		}
		hook := schemas.Webhook{ID: info.newID(), TenantID: info.tenant}
		if err := s.readWebhook(w, r, true, &hook); err != nil {
			return err
		}
		made := slices.IndexFunc(list, func(w schemas.Webhook) bool { return w.ID == hook.ID })
		if made < 0 && len(list) >= maxWebhooks {
			return conflict("There are %d webhooks, and more are not possible; delete one", len(list))
		}
		write := s.Webhooks.Make
		if made >= 0 { // by an earlier try, whose secret nobody has seen
			hook, write = list[made], s.Webhooks.Rotate
		}
		hook, secret, err := write(ctx, hook)
		if err != nil {
			return unwritten(err)
		}
		w.Header().Set("Location", "/v1/webhooks/"+hook.ID)
		writeJSON(w, http.StatusCreated, s.webhookMade(hook, secret))
		return nil
	})
}

// ListWebhooks is GET /webhooks.
func (s *server) ListWebhooks(w http.ResponseWriter, r *http.Request) {
	s.respond(w, r, nil, func(ctx context.Context, _ *requestInfo) error {
		list, err := s.webhooks(ctx)
		if err != nil {
			return err
		}
		out := WebhookList{Data: []Webhook{}}
		for _, hook := range list {
			out.Data = append(out.Data, s.webhookBody(hook))
		}
		writeJSON(w, http.StatusOK, out)
		return nil
	})
}

// GetWebhook is GET /webhooks/{id}.
func (s *server) GetWebhook(w http.ResponseWriter, r *http.Request, id ID) {
	s.onWebhook(w, r, id, func(_ context.Context, hook schemas.Webhook) (int, any, error) {
		return http.StatusOK, s.webhookBody(hook), nil
	})
}

// PatchWebhook is PATCH /webhooks/{id}.
func (s *server) PatchWebhook(w http.ResponseWriter, r *http.Request, id ID, _ PatchWebhookParams) {
	s.onWebhook(w, r, id, func(ctx context.Context, hook schemas.Webhook) (int, any, error) {
		if err := s.readWebhook(w, r, false, &hook); err != nil {
			return 0, nil, err
		}
		hook, err := s.Webhooks.Put(ctx, hook)
		return http.StatusOK, s.webhookBody(hook), unwritten(err)
	})
}

// DeleteWebhook is DELETE /webhooks/{id}.
func (s *server) DeleteWebhook(w http.ResponseWriter, r *http.Request, id ID) {
	s.onWebhook(w, r, id, func(ctx context.Context, hook schemas.Webhook) (int, any, error) {
		was := s.webhookBody(hook)
		hook.Deleted = true
		_, err := s.Webhooks.Put(ctx, hook)
		return http.StatusOK, was, unwritten(err)
	})
}

// RotateWebhook is POST /webhooks/{id}/rotate.
func (s *server) RotateWebhook(w http.ResponseWriter, r *http.Request, id ID, _ RotateWebhookParams) {
	s.onWebhook(w, r, id, func(ctx context.Context, hook schemas.Webhook) (int, any, error) {
		hook, secret, err := s.Webhooks.Rotate(ctx, hook)
		return http.StatusOK, s.webhookMade(hook, secret), unwritten(err)
	})
}

func (s *server) deliveryBody(d read.Delivery) Delivery {
	next := d.NextAttemptAt
	if at, err := time.Parse(time.RFC3339, next); err == nil {
		next = s.shown(at).Format(time.RFC3339)
	}
	return Delivery{
		ID: d.ID, Type: d.Type, ObjectID: d.ObjectID, Status: d.Status, Attempts: int(d.Attempts),
		StatusCode: orNull(int(d.StatusCode)), Error: orNull(d.Error), NextAttemptAt: orNull(next),
		CreatedAt: s.shown(d.Created), UpdatedAt: s.shown(d.At), Payload: json.RawMessage(d.Payload),
	}
}

// ListDeliveries is GET /webhooks/{id}/deliveries.
func (s *server) ListDeliveries(w http.ResponseWriter, r *http.Request, id ID, params ListDeliveriesParams) {
	of := read.DeliveryPage{Webhook: id}
	respondList(s, w, r, params, func(in *input) read.Page {
		p := readPage(in, params.Limit, params.Cursor, 2)
		p.Status = filter(in, "status", params.Status, aDeliveryStatus)
		of.Type = filter(in, "type", params.Type, aWebhookType)
		of.Object = filter(in, "object_id", params.ObjectID, aText)
		return p
	}, func(db *read.DB, ctx context.Context, p read.Page) ([]read.Delivery, error) {
		if _, err := s.webhook(ctx, id); err != nil {
			return nil, err
		}
		of.Page = p
		return db.Deliveries(ctx, of)
	}, s.deliveryBody, func(d read.Delivery) []string {
		return []string{strconv.FormatInt(d.Created.UnixMilli(), 10), d.ID}
	})
}

// Redeliver is POST /webhooks/{id}/deliveries/{delivery_id}/redeliver.
func (s *server) Redeliver(w http.ResponseWriter, r *http.Request, id ID, deliveryID string, _ RedeliverParams) {
	s.onWebhook(w, r, id, func(ctx context.Context, hook schemas.Webhook) (int, any, error) {
		d, err := find(ctx, "delivery", deliveryID, func(db *read.DB, ctx context.Context, delivery string) (read.Delivery,
			bool, error,
		) {
			return db.Delivery(ctx, hook.ID, strings.ToLower(delivery))
		})
		if err != nil {
			return 0, nil, err
		}
		now, err := s.Webhooks.Redeliver(ctx, schemas.WebhookDelivery{
			DeliveryID: d.ID, TenantID: hook.TenantID, WebhookID: hook.ID, Type: d.Type, ObjectID: d.ObjectID,
			Payload: d.Payload,
		})
		if err != nil {
			return 0, nil, unavailable(err, "The delivery could not be written to Kafka; try again")
		}
		d.Status, d.Attempts, d.StatusCode, d.Error, d.NextAttemptAt, d.At = now.Status, 0, 0, "", "", now.At
		return http.StatusAccepted, s.deliveryBody(d), nil
	})
}
