{{/* Prefix of the names of all objects. Short enough for the longest suffix (-relay-metrics) within 63 characters. */}}
{{- define "relay-operator.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 48 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 48 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 48 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "relay-operator.relayName" -}}
{{ include "relay-operator.fullname" . }}-relay
{{- end -}}

{{/* ClusterRoles are shared by all namespaces: two releases of one name must not meet. */}}
{{- define "relay-operator.clusterName" -}}
{{ include "relay-operator.fullname" . }}:{{ .Release.Namespace }}
{{- end -}}

{{/* Labels that selectors use; they can never change. Takes (dict "root" $ "component" "relay"). */}}
{{- define "relay-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "relay-operator.labels" -}}
{{ include "relay-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: relay-operator
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "relay-operator.image" -}}
{{- $image := .image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default .root.Chart.AppVersion $image.tag }}
{{- end -}}
{{- end -}}

{{- define "relay-operator.internalUrl" -}}
{{- if .Values.urls.internal -}}
{{ .Values.urls.internal }}
{{- else -}}
{{ ternary "https" "http" (ne .Values.relay.tls.secretName "") }}://{{ include "relay-operator.relayName" . }}.{{ .Release.Namespace }}.svc:{{ .Values.relay.service.port }}
{{- end -}}
{{- end -}}

{{- define "relay-operator.publicUrl" -}}
{{ default (include "relay-operator.internalUrl" .) .Values.urls.public }}
{{- end -}}

{{/* An environment variable from a Secret that exists already. Takes (dict "env" "REDIS_URL" "from" <reference>). */}}
{{- define "relay-operator.secretEnv" -}}
- name: {{ .env }}
  valueFrom:
    secretKeyRef:
      name: {{ .from.name }}
      key: {{ .from.key }}
{{- end -}}

{{/* Settings of a link's TLS. Takes (dict "prefix" "REDIS_TLS" "folder" "redis" "link" .Values.links.relayRedis). */}}
{{- define "relay-operator.linkEnv" -}}
{{- $folder := printf "/etc/relay-operator/%s" .folder -}}
{{- if .link.secretName }}
- { name: {{ .prefix }}_CA_FILE, value: {{ $folder }}/ca.crt }
{{- if .link.clientCertificate }}
- { name: {{ .prefix }}_CERT_FILE, value: {{ $folder }}/tls.crt }
- { name: {{ .prefix }}_KEY_FILE, value: {{ $folder }}/tls.key }
{{- end }}
{{- end }}
{{- with .link.serverName }}
- { name: {{ $.prefix }}_SERVER_NAME, value: {{ . | quote }} }
{{- end }}
{{- end -}}

{{/* Values that say nothing without another one: told of here, because the processes would pass over them, or not start. */}}
{{- define "relay-operator.contradictions" -}}
{{- range $name, $link := .Values.links }}
{{- if and $link.clientCertificate (not $link.secretName) }}
{{- fail (printf "links.%s.clientCertificate: set links.%s.secretName to the Secret with tls.crt and tls.key" $name $name) }}
{{- end }}
{{- end }}
{{- $mail := .Values.notifications.mail }}
{{- if and (or $mail.from $mail.caSecretName) (not $mail.urlFrom.name) }}
{{- fail "notifications.mail.from, .caSecretName: no mail is sent without notifications.mail.urlFrom.name" }}
{{- end }}
{{- $relay := .Values.relay }}
{{- if and $relay.tls.clientCertificates (not $relay.tls.secretName) }}
{{- fail "relay.tls.clientCertificates: set relay.tls.secretName, without which there is no handshake to ask in" }}
{{- end }}
{{- if and (eq (toString $relay.tls.required) "true") (not $relay.tls.secretName) (not $relay.trustedProxies) }}
{{- fail "relay.tls.required: set relay.tls.secretName or relay.trustedProxies, without which everybody would be refused" }}
{{- end }}
{{- if and (or $relay.proxyProtocol $relay.proxySecret.name $relay.proxyCertificates) (not $relay.trustedProxies) }}
{{- fail "relay.proxyProtocol, .proxySecret, .proxyCertificates: set relay.trustedProxies, of whom alone they are asked" }}
{{- end }}
{{- if and $relay.proxyCertificates (not $relay.tls.clientCertificates) }}
{{- fail "relay.proxyCertificates: set relay.tls.clientCertificates, without which no proxy is asked for its certificate" }}
{{- end }}
{{- end -}}

{{/* Mounts of Secrets with PEM files, where they are named. Takes (dict "folder" Secret's name, …). */}}
{{- define "relay-operator.pemMounts" -}}
{{- range $folder, $secretName := . }}
{{- if $secretName }}
- { name: tls-{{ $folder }}, mountPath: /etc/relay-operator/{{ $folder }}, readOnly: true }
{{- end }}
{{- end }}
{{- end -}}

{{/* Their volumes. No subPath anywhere: such a mount never sees a renewal. */}}
{{- define "relay-operator.pemVolumes" -}}
{{- range $folder, $secretName := . }}
{{- if $secretName }}
- name: tls-{{ $folder }}
  secret: { secretName: {{ $secretName }}, defaultMode: 0440 }
{{- end }}
{{- end }}
{{- end -}}

{{- define "relay-operator.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "relay-operator.containerSecurityContext" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Where the pods of one component run. Takes (dict "root" $ "component" "relay" "values" .Values.relay). */}}
{{- define "relay-operator.placement" -}}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
topologySpreadConstraints:
{{- if .values.topologySpreadConstraints }}
{{- $own := dict "labelSelector" (dict "matchLabels" (include "relay-operator.selectorLabels" (dict "root" .root "component" .component) | fromYaml)) }}
{{- range .values.topologySpreadConstraints }}
  - {{- toYaml (merge (dict) . $own) | nindent 4 }}
{{- end }}
{{- else }}
{{- $selector := include "relay-operator.selectorLabels" (dict "root" .root "component" .component) }}
{{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- $selector | nindent 8 }}
{{- end }}
{{- end }}
{{- end -}}

{{/* What the operator may do with the objects of the namespaces that it serves. Nothing here is a wildcard. */}}
{{- define "relay-operator.servedRules" -}}
- apiGroups: [relay-operator.dev]
  resources: [relayapps, relaytokens, clientcertificates]
  verbs: [list, watch, patch]
- apiGroups: [relay-operator.dev]
  resources: [relayapps/status, relaytokens/status, clientcertificates/status]
  verbs: [patch]
# Owner references with blockOwnerDeletion on Secrets and Certificates (admission plugin OwnerReferencesPermissionEnforcement).
- apiGroups: [relay-operator.dev]
  resources: [relayapps/finalizers, relaytokens/finalizers, clientcertificates/finalizers]
  verbs: [update]
# List and watch are by the operator's label; RBAC cannot say so.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch, delete]
# For ClientCertificates with issue; of no use, and no harm, where cert-manager is not installed.
- apiGroups: [cert-manager.io]
  resources: [certificates]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [cert-manager.io]
  resources: [certificaterequests]
  verbs: [list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
