.PHONY: bench bench-latency bench-http bench-join bench-idle bench-disk bench-start bench-bulk bench-status bench-yjs bench-arrays bench-clients bench-soak

## bench: all benchmarks but the soak and the large start, one after the other; results in bench/results/
bench: bench-latency bench-http bench-join bench-idle bench-disk bench-start bench-bulk bench-status bench-yjs bench-arrays bench-clients

## bench-latency: from a write on one node to its event on another
bench-latency: $(VENV)/.installed
	$(BIN)/python -m bench.latency

## bench-http: durable writes and reads a second
bench-http: $(VENV)/.installed
	$(BIN)/python -m bench.http_rates

## bench-join: a fresh node joins one that holds documents
bench-join: $(VENV)/.installed
	$(BIN)/python -m bench.join

## bench-idle: processor and memory of an idle pair
bench-idle: $(VENV)/.installed
	$(BIN)/python -m bench.idle

## bench-disk: bytes on disk
bench-disk: $(VENV)/.installed
	$(BIN)/python -m bench.disk

## bench-start: from `peatnode run` to ready
bench-start: $(VENV)/.installed
	$(BIN)/python -m bench.start

## bench-start-large: the same with 1,000,000 documents, after a stop, a kill and without a checkpoint; some minutes
bench-start-large: $(VENV)/.installed
	$(BIN)/python -m bench.start --documents 1000000

## bench-status: `peatnode status` beside 30 connected and 1,000 absent peers
bench-status: $(VENV)/.installed
	$(BIN)/python -m bench.status

## bench-yjs: Yjs clients, compared with the npm servers of Hocuspocus and y-websocket (needs node and npm)
bench-yjs: $(VENV)/.installed
	$(BIN)/python -m bench.yjs

## bench-arrays: writes to documents with arrays, and how often the engine is replaced
bench-arrays: $(VENV)/.installed
	$(BIN)/python -m bench.arrays

## bench-clients: one update to a document with 1 and with 10,500 client ids, and what others wait for
bench-clients: $(VENV)/.installed
	$(BIN)/python -m bench.clients

## bench-soak: memory over ten minutes of writes
bench-soak: $(VENV)/.installed
	$(BIN)/python -m bench.soak

## bench-bulk: import and export of 100,000 documents
bench-bulk: $(VENV)/.installed
	$(BIN)/python -m bench.bulk
