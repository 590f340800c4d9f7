package schemas

// TenantSetting is one setting of a tenant, in force from a day until another of its name. An empty value stands for
// the general rule.
type TenantSetting struct {
	From  string `json:"from"`
	Name  string `json:"name"`
	Value string `json:"value"`
}

// TenantSettings are all settings of a tenant, in the order of their days. They lie on every partition of the timeline
// and of the settlement commands: what decides takes them from there, so a replay decides the same.
type TenantSettings struct {
	TenantID string `json:"tenant_id"`
	// Version is the offset of the latest of them on kasi.tenants.v1, where each is a record.
	Version  int64           `json:"version"`
	Settings []TenantSetting `json:"settings"`
}

// On is the value of a setting on a day, written YYYY-MM-DD; empty where the general rule holds.
func (t TenantSettings) On(name, day string) string {
	from, value := "", ""
	for _, s := range t.Settings {
		if s.Name == name && s.From <= day && s.From >= from {
			from, value = s.From, s.Value
		}
	}
	return value
}

// Changes tells whether a setting begins on a day.
func (t TenantSettings) Changes(day string) bool {
	for _, s := range t.Settings {
		if s.From == day {
			return true
		}
	}
	return false
}
