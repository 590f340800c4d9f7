{{- define "kasi.name" -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "kasi.labels" -}}
app.kubernetes.io/name: kasi
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "kasi.selector" -}}
app.kubernetes.io/name: kasi
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .role }}
{{- end }}

{{- define "kasi.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "kasi.name" .) }}
{{- else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{- define "kasi.secret" -}}
{{- required "secret.existing: name a Secret with clickhouse-password, analyst-password, webhooks-secret, console-secret"
  .Values.secret.existing -}}
{{- end }}

{{/* One secret as a variable: a dict of root, key, optional. */}}
{{- define "kasi.secretEnv" -}}
- name: KASI_{{ .name | default .key | upper | replace "-" "_" }}
  valueFrom:
    secretKeyRef: {name: {{ include "kasi.secret" .root }}, key: {{ .key }}, optional: {{ .optional | default false }}}
{{- end }}

{{/* The file of --config. */}}
{{- define "kasi.config" -}}
{{- if not .Values.kafka.brokers }}{{ fail "kafka.brokers: name your brokers, such as [k1:9092, k2:9092, k3:9092]" }}{{ end -}}
{{- if not .Values.clickhouse.addr }}{{ fail "clickhouse.addr: name your ClickHouse servers, such as [ch1:9000]" }}{{ end -}}
{{- $config := dict "kafka-brokers" .Values.kafka.brokers "replication" .Values.kafka.replication "partitions" .Values.kafka.partitions
  "clickhouse-addr" .Values.clickhouse.addr "clickhouse-database" .Values.clickhouse.database "http" "0.0.0.0:8080" "metrics" "0.0.0.0:9100"
  "data-dir" "/var/lib/kasi" -}}
{{- $tls := dict "kafka" .Values.kafka.tls "clickhouse" .Values.clickhouse.tls -}}
{{- range $name, $own := $tls }}
{{- if $own.enabled }}{{ $_ := set $config (printf "%s-tls" $name) true }}{{ end -}}
{{- if and $own.enabled $own.secretName }}
{{- range $file := list "ca" "cert" "key" }}
{{- with get $own $file }}{{ $_ := set $config (printf "%s-%s" $name $file) (printf "/etc/kasi-tls/%s/%s" $name .) }}{{ end -}}
{{- end }}{{- end }}{{- end }}
{{- with .Values.kafka.sasl.mechanism }}{{ $_ := set $config "kafka-sasl" . }}{{ end -}}
{{- with .Values.clickhouse.cluster }}{{ $_ := set $config "clickhouse-cluster" . }}{{ end -}}
{{- with .Values.clickhouse.http }}{{ $_ := set $config "clickhouse-http" . }}{{ end -}}
{{- with .Values.rules }}{{ $_ := set $config "rules" "/etc/kasi/rules.yaml" }}{{ end -}}
{{- toYaml (mergeOverwrite $config .Values.config) }}
{{- end }}

{{- define "kasi.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "kasi.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* The Secrets with certificates that a pod mounts, by what they are for. */}}
{{- define "kasi.tlsSecrets" -}}
{{- with .root.Values }}
{{- $all := dict "kafka" (and .kafka.tls.enabled .kafka.tls.secretName)
  "clickhouse" (and .clickhouse.tls.enabled .clickhouse.tls.secretName)
  "api" (and (eq $.role "api") .api.tls.secretName) }}
{{- range $name, $secret := $all }}{{ if $secret }}
{{ $name }}: {{ $secret }}
{{- end }}{{ end }}
{{- end }}
{{- end }}

{{/* What the pod of a role and that of verify have in common: a dict of root, role, user, args, resources, own. */}}
{{- define "kasi.pod" -}}
{{- $root := .root -}}
metadata:
  labels:
    {{- include "kasi.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .role }}
  annotations:
    kasi/config: {{ include "kasi.config" $root | cat $root.Values.rules | sha256sum }}
    {{- with $root.Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "kasi.serviceAccount" $root }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ $root.Values.terminationGracePeriodSeconds }}
  securityContext:
    {{- include "kasi.podSecurity" $root | nindent 4 }}
  {{- with $root.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .own.nodeSelector | default $root.Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .own.tolerations | default $root.Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: kubernetes.io/hostname
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "kasi.selector" . | nindent 10 }}
  containers:
    - name: {{ .role }}
      image: {{ $root.Values.image.repository }}:{{ $root.Values.image.tag | default $root.Chart.AppVersion }}
      imagePullPolicy: {{ $root.Values.image.pullPolicy }}
      args: {{ toJson .args }}
      securityContext:
        {{- include "kasi.containerSecurity" $root | nindent 8 }}
      env:
        - name: KASI_CONFIG
          value: /etc/kasi/kasi.yaml
        - name: KASI_INSTANCE
          valueFrom: {fieldRef: {fieldPath: metadata.name}}
        {{- range .secrets }}
        {{- include "kasi.secretEnv" (dict "root" $root "key" .key "optional" .optional) | nindent 8 }}
        {{- end }}
        {{- with $root.Values.kafka.sasl }}
        {{- if .mechanism }}
        - name: KASI_KAFKA_USER
          value: {{ .user | default (print .userPrefix $.user) }}
        {{- include "kasi.secretEnv" (dict "root" $root "key" (empty .user | ternary (print "kafka-password-" $.user) "kafka-password")
          "name" "kafka-password") | nindent 8 }}
        {{- end }}
        {{- end }}
        {{- if and (eq .role "api") $root.Values.api.tls.secretName }}
        - {name: KASI_HTTP_CERT, value: /etc/kasi-tls/api/tls.crt}
        - {name: KASI_HTTP_KEY, value: /etc/kasi-tls/api/tls.key}
        {{- end }}
        {{- range $key, $value := .own.config }}
        - name: KASI_{{ $key | upper | replace "-" "_" }}
          value: {{ $value | toString | quote }}
        {{- end }}
      ports:
        - {name: metrics, containerPort: 9100}
        {{- if eq .role "api" }}
        - {name: http, containerPort: 8080}
        {{- end }}
      startupProbe:
        httpGet: {path: /livez, port: metrics}
        periodSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /livez, port: metrics}
        periodSeconds: 10
        timeoutSeconds: 5
      readinessProbe:
        httpGet: {path: /readyz, port: metrics}
        periodSeconds: 5
        timeoutSeconds: 5
      resources:
        {{- toYaml .resources | nindent 8 }}
      volumeMounts:
        - {name: config, mountPath: /etc/kasi, readOnly: true}
        - {name: data, mountPath: /var/lib/kasi}
        - {name: tmp, mountPath: /tmp}
        {{- range $name, $secret := include "kasi.tlsSecrets" . | fromYaml }}
        - {name: tls-{{ $name }}, mountPath: /etc/kasi-tls/{{ $name }}, readOnly: true}
        {{- end }}
  volumes:
    - name: config
      configMap: {name: {{ include "kasi.name" $root }}}
    - name: tmp
      emptyDir: {}
    {{- range $name, $secret := include "kasi.tlsSecrets" . | fromYaml }}
    - name: tls-{{ $name }}
      secret: {secretName: {{ $secret }}, defaultMode: 288}
    {{- end }}
    {{- if not .claim }}
    - name: data
      emptyDir: {}
    {{- end }}
{{- end }}
