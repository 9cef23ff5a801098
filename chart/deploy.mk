# Image and clusters; included by the Makefile at the top. Every variable may be given on the command line.
IMAGE ?= peatnode:latest
BASE_IMAGE ?=
CLUSTER ?= peat
NAMESPACE ?= default
RELEASE ?= peat-mesh
REPLICAS ?= 3
API_PORT ?= 8081

deploy_env = IMAGE='$(IMAGE)' BASE_IMAGE='$(BASE_IMAGE)' CLUSTER='$(CLUSTER)' NAMESPACE='$(NAMESPACE)' \
	RELEASE='$(RELEASE)' REPLICAS='$(REPLICAS)' API_PORT='$(API_PORT)'

.PHONY: image sbom lock deploy-k3d undeploy-k3d redeploy-k3d k3d-stop k3d-start test-image test-k3d test-federation

## image: build the container image
image:
	$(deploy_env) chart/scripts/image.sh build

## sbom: list what is in the image: build/sbom.cdx.json (CycloneDX)
sbom:
	$(deploy_env) chart/scripts/image.sh sbom

## lock: renew the locked dependencies of the image, with hashes
lock:
	chart/scripts/lock.sh

## deploy-k3d: a mesh in a k3d cluster on this machine; again: an upgrade
deploy-k3d:
	$(deploy_env) chart/scripts/k3d.sh deploy

## undeploy-k3d: delete that cluster
undeploy-k3d:
	$(deploy_env) chart/scripts/k3d.sh undeploy

## redeploy-k3d: build, import, restart the nodes one by one
redeploy-k3d:
	$(deploy_env) chart/scripts/k3d.sh redeploy

## k3d-stop: stop the cluster, its state stays
k3d-stop:
	$(deploy_env) chart/scripts/k3d.sh stop

## k3d-start: start it again
k3d-start:
	$(deploy_env) chart/scripts/k3d.sh start

## test-image: three containers of the image that sync; needs docker
test-image:
	IMAGE='$(IMAGE)' tests/e2e/image.sh

## test-k3d: one cluster, end to end; needs docker, k3d, kubectl, helm
test-k3d:
	IMAGE='$(IMAGE)' BASE_IMAGE='$(BASE_IMAGE)' tests/e2e/single-cluster.sh

## test-federation: two clusters, end to end; needs docker, k3d, kubectl, helm
test-federation:
	IMAGE='$(IMAGE)' BASE_IMAGE='$(BASE_IMAGE)' tests/e2e/federation.sh
