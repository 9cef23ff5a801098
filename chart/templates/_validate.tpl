{{/* Checks that the schema cannot express, each with a message that says how to fix it. */}}
{{- define "peatnode.validate" -}}
{{- with .Values -}}
{{- if not (or .formationSecret .existingSecret) -}}
{{- fail (print "\n\nThe nodes of a mesh need a shared secret, and none was given. Make one and keep it:\n"
  "    FORMATION_SECRET=$(openssl rand -base64 32)\n"
  "and pass it with  --set \"formationSecret=$FORMATION_SECRET\" ; or put it into your own Secret:\n"
  "    kubectl create secret generic peat-formation --from-literal=formation-secret=\"$FORMATION_SECRET\"\n"
  "and pass  --set existingSecret=peat-formation\n") -}}
{{- end -}}
{{- if and .formationSecret .existingSecret -}}
{{- fail "\n\nformationSecret and existingSecret are both set: keep one of them.\n" -}}
{{- end -}}
{{- if and .formationSecret (not (regexMatch "^([A-Za-z0-9+/]{4}){5,}([A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)$" .formationSecret)) -}}
{{- fail "\n\nformationSecret is not base64 of at least 16 bytes. Make one with: openssl rand -base64 32\n" -}}
{{- end -}}
{{- if and .formationSecret (regexMatch "^[ -~\\s]*$" (b64dec .formationSecret)) -}}
{{- fail "\n\nformationSecret is a text in base64, which somebody can guess, and no random bytes. Make one with: openssl rand -base64 32\n" -}}
{{- end -}}
{{- if and .apiToken .existingApiTokenSecret -}}
{{- fail "\n\napiToken and existingApiTokenSecret are both set: keep one of them.\n" -}}
{{- end -}}
{{- if and .readToken .existingReadTokenSecret -}}
{{- fail "\n\nreadToken and existingReadTokenSecret are both set: keep one of them.\n" -}}
{{- end -}}
{{- if and (include "peatnode.hasReadToken" $) (not (include "peatnode.hasApiToken" $)) -}}
{{- fail "\n\nA read token without an API token would let anybody write: set apiToken or existingApiTokenSecret too.\n" -}}
{{- end -}}
{{- if and .federation.enabled (not .federation.clusterName) -}}
{{- fail "\n\nfederation.enabled needs federation.clusterName: a name of its own for each cluster, such as alpha. Without it pods of the same name in two clusters would have the same identity.\n" -}}
{{- end -}}
{{- if .federation.enabled -}}
{{- $replicas := int .replicaCount -}}
{{- range .federation.gateways -}}
{{- if ge (int .) $replicas -}}
{{- fail (printf "\n\nfederation.gateways names pod %d, but replicaCount is %d: the last pod is number %d.\n" (int .) $replicas (sub $replicas 1)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if le (int .terminationGracePeriodSeconds) (add .preStopSeconds 10 | int) -}}
{{- fail (printf "\n\nterminationGracePeriodSeconds is %d: it must be more than preStopSeconds (%d) and the 10 seconds in which a node stops.\n" (int .terminationGracePeriodSeconds) (int .preStopSeconds)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
