// Answers one JSON line for each JSON line: real Yjs, driven by the tests of the codec.
// Bytes are base64. Random choices come from the seed of the request alone.
// Installed packages lie elsewhere than this file: the first argument is that folder.
import { createInterface } from 'node:readline'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const require = createRequire(process.argv[2] + '/package.json')
const Y = await import(pathToFileURL(require.resolve('yjs').replace('.cjs', '.mjs')))

console.log = console.error // standard output is for answers

const b64 = bytes => Buffer.from(bytes).toString('base64')
const bytes = text => new Uint8Array(Buffer.from(text, 'base64'))

// mulberry32
const random = seed => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}

const VALUES = [null, true, false, 0, -1, 63, 64, -64, 2 ** 31, 2 ** 40 + 0.5, 1.5, '', 'short', 'żółć 😀', 'x'.repeat(200),
  [], {}, [1, [2, { a: 'b' }]], { 'k/1': [null], z: 'é' }, new Uint8Array([1, 2, 200]), 12345678901n, undefined]
const ITEMS = VALUES.filter(v => typeof v !== 'bigint' && v !== undefined)
const TEXTS = ['a', 'bc', 'def ghi', 'ł', '😀', 'x😀y', '𝒳𝒴', '\n']
const KEYS = ['/a', '/b', '/c/d', '/ż', '']

const open = (id, gc = true) => {
  const doc = new Y.Doc({ gc })
  if (id !== undefined) doc.clientID = id
  doc.getMap('root'); doc.getArray('list'); doc.getText('text'); doc.getXmlFragment('xml'); doc.getMap('deep')
  return doc
}

// No editor puts its caret between the halves of a surrogate pair. Where one is cut, Yjs itself does not converge:
// whether both halves are U+FFFD depends on the way the update took.
const caret = (text, at) => {
  const units = text.toDelta().map(op => typeof op.insert === 'string' ? op.insert : ' ').join('')
  return /[\uDC00-\uDFFF]/.test(units.charAt(at)) ? at + 1 : at
}

const containers = doc => {
  const found = []
  const visit = type => {
    found.push(type)
    const inside = type instanceof Y.Map ? [...type.values()] : type instanceof Y.Array ? type.toArray() : []
    inside.forEach(v => { if (v instanceof Y.AbstractType) visit(v) })
  }
  visit(doc.getMap('deep'))
  return found
}

const elements = doc => {
  const found = [doc.getXmlFragment('xml')]
  for (let i = 0; i < found.length; i++) found.push(...found[i].toArray().filter(e => e instanceof Y.XmlElement))
  return found
}

const fresh = r => [() => new Y.Map(), () => new Y.Array(), () => new Y.Text('new'), () => new Y.XmlElement('p')][Math.floor(r() * 4)]()

const edit = (doc, r) => {
  const pick = list => list[Math.floor(r() * list.length)]
  const upto = n => Math.floor(r() * (n + 1))
  const root = doc.getMap('root'); const list = doc.getArray('list'); const text = doc.getText('text')
  switch (upto(10)) {
    case 0: case 1: root.set(pick(KEYS), pick(VALUES)); break
    case 2: root.delete(pick(KEYS)); break
    case 3: list.insert(upto(list.length), r() < 0.5 ? [pick(ITEMS)] : [pick(ITEMS), pick(ITEMS), 7]); break
    case 4: if (list.length) { const at = upto(list.length - 1); list.delete(at, Math.min(1 + upto(2), list.length - at)) } break
    case 5: case 6: text.insert(caret(text, upto(text.length)), pick(TEXTS), r() < 0.2 ? { bold: true } : undefined); break
    case 7: if (text.length) { const at = caret(text, upto(text.length - 1)); text.delete(at, caret(text, at + upto(3)) - at) } break
    case 8: {
      const at = caret(text, upto(text.length))
      if (r() < 0.4) text.insertEmbed(at, { image: pick(['é', 'b']) })
      else text.format(at, caret(text, Math.min(at + 2, text.length)) - at, { link: pick(['x', null, { href: 'ü' }]) })
      break
    }
    case 9: {
      const type = pick(containers(doc))
      if (type instanceof Y.Map) { if (r() < 0.3) type.delete(pick(KEYS)); else type.set(pick(KEYS), r() < 0.5 ? fresh(r) : pick(VALUES)) }
      else if (type instanceof Y.Array) { if (r() < 0.4 && type.length) type.delete(upto(type.length - 1)); else type.insert(upto(type.length), [r() < 0.5 ? fresh(r) : pick(ITEMS)]) }
      else if (type instanceof Y.Text) type.insert(caret(type, upto(type.length)), pick(TEXTS))
      else if (type instanceof Y.XmlElement) type.setAttribute('id', String(upto(9)))
      break
    }
    default: {
      const parent = pick(elements(doc))
      if (r() < 0.3 && parent.length) parent.delete(upto(parent.length - 1))
      else if (r() < 0.3 && parent instanceof Y.XmlElement) parent.setAttribute(pick(['a', 'b']), String(upto(9)))
      else parent.insert(upto(parent.length), [r() < 0.4 ? new Y.XmlText('t😀') : r() < 0.1 ? new Y.XmlHook('hook') : new Y.XmlElement(pick(['p', 'div']))])
    }
  }
}

const plain = (_key, v) => typeof v === 'bigint' ? `${v}n` : v instanceof Uint8Array ? { bytes: [...v] } : v === undefined ? '(undefined)' : v

const sorted = v => v && typeof v === 'object' && !Array.isArray(v) && !(v instanceof Uint8Array)
  ? Object.fromEntries(Object.keys(v).sort().map(k => [k, sorted(v[k])]))
  : Array.isArray(v) ? v.map(sorted) : v

// Neighbouring inserts of equal attributes are one: Yjs cuts them where structs happen to end.
const delta = text => {
  const out = []
  for (const op of text.toDelta()) {
    const last = out[out.length - 1]
    if (last && typeof last.insert === 'string' && typeof op.insert === 'string' &&
        JSON.stringify(sorted(last.attributes)) === JSON.stringify(sorted(op.attributes))) last.insert += op.insert
    else out.push({ ...op })
  }
  return out
}

const view = doc => JSON.stringify(sorted({
  root: doc.getMap('root').toJSON(),
  list: doc.getArray('list').toJSON(),
  text: delta(doc.getText('text')),
  xml: doc.getXmlFragment('xml').toString(),
  deep: doc.getMap('deep').toJSON()
}), plain)

const facts = doc => ({
  view: view(doc),
  sv: b64(Y.encodeStateVector(doc)),
  state: b64(Y.encodeStateAsUpdate(doc)),
  pending: doc.store.pendingStructs !== null || doc.store.pendingDs !== null
})

const history = ({ seed, writers = 3, steps = 60, gc = true }) => {
  const r = random(seed)
  const docs = []
  const deltas = [] // in an order in which they can be applied
  const seen = []
  for (let i = 0; i < writers; i++) {
    const doc = open(1 + i + 8 * Math.floor(r() * 2 ** (r() < 0.5 ? 4 : 29)), gc)
    doc.on('update', (update, origin) => { if (origin !== 'remote') { seen[i].add(deltas.length); deltas.push(update) } })
    docs.push(doc); seen.push(new Set())
  }
  for (let i = 0; i < steps; i++) {
    const who = Math.floor(r() * writers)
    if (r() < 0.3) { // catch up with a prefix of all there is: causal
      const to = Math.floor(r() * (deltas.length + 1))
      for (let d = 0; d < to; d++) if (!seen[who].has(d)) { seen[who].add(d); Y.applyUpdate(docs[who], deltas[d], 'remote') }
    } else {
      docs[who].transact(() => { for (let n = r() < 0.7 ? 1 : 4; n > 0; n--) edit(docs[who], r) })
    }
  }
  const partial = facts(docs[0])
  const whole = open(undefined, gc)
  deltas.forEach(d => Y.applyUpdate(whole, d))
  const merged = deltas.length ? Y.mergeUpdates(deltas) : new Uint8Array([0, 0])
  const sv = Y.encodeStateVector(docs[0])
  return {
    deltas: deltas.map(b64),
    partial,
    whole: facts(whole),
    merged: b64(merged),
    mergedSv: b64(Y.encodeStateVectorFromUpdate(merged)),
    diff: b64(Y.diffUpdate(merged, sv))
  }
}

// Writers who insert and delete at the same few places of one array and one text, and seldom hear of each other.
const contended = ({ seed, writers = 3, steps = 60 }) => {
  const r = random(seed)
  const upto = n => Math.floor(r() * (n + 1))
  const docs = []; const deltas = []; const seen = []
  for (let i = 0; i < writers; i++) {
    const doc = new Y.Doc()
    doc.clientID = 1 + i + 8 * Math.floor(r() * 2 ** 29)
    doc.on('update', (update, origin) => { if (origin !== 'remote') { seen[i].add(deltas.length); deltas.push(update) } })
    docs.push(doc); seen.push(new Set())
  }
  const step = (doc, n) => {
    const list = doc.getArray('/list'); const text = doc.getText('/text')
    if (r() < 0.4) {
      const at = upto(Math.min(3, list.length))
      list.insert(at, r() < 0.6 ? [n] : [n, `${n}`, [n]])
    } else if (r() < 0.5 && list.length) {
      const at = upto(list.length - 1)
      list.delete(at, Math.min(1 + upto(4), list.length - at))
    } else if (r() < 0.6) text.insert(caret(text, upto(Math.min(3, text.length))), TEXTS[upto(TEXTS.length - 1)])
    else if (text.length) { const at = caret(text, upto(text.length - 1)); text.delete(at, caret(text, at + upto(3)) - at) }
  }
  for (let n = 0; n < steps; n++) {
    const who = upto(writers - 1)
    if (r() < 0.15) {
      const to = upto(deltas.length)
      for (let d = 0; d < to; d++) if (!seen[who].has(d)) { seen[who].add(d); Y.applyUpdate(docs[who], deltas[d], 'remote') }
    } else docs[who].transact(() => { for (let m = r() < 0.7 ? 1 : 3; m > 0; m--) step(docs[who], n) })
  }
  const whole = new Y.Doc()
  deltas.forEach(d => Y.applyUpdate(whole, d))
  return {
    deltas: deltas.map(b64),
    state: b64(Y.encodeStateAsUpdate(whole)),
    list: whole.getArray('/list').toJSON(),
    text: whole.getText('/text').toString()
  }
}

// One transaction of a client that knows `updates`, on a document with the array /l and the text /t.
const edited = ({ updates, client, seed }) => {
  const doc = new Y.Doc()
  updates.forEach(u => Y.applyUpdate(doc, bytes(u)))
  doc.clientID = client // Yjs takes another id when it receives updates under its own
  const r = random(seed)
  const upto = n => Math.floor(r() * (n + 1))
  let made = null
  doc.on('update', update => { made = b64(update) })
  doc.transact(() => {
    const root = doc.getMap('root'); const list = doc.getArray('/l'); const text = doc.getText('/t')
    for (let n = 1 + upto(2); n > 0; n--) {
      switch (upto(6)) {
        case 0: root.set(['/s', '/o', '/m'][upto(2)], [seed, 'x', null, { type: 'array' }, {}][upto(4)]); break
        case 1: root.delete(['/s', '/l', '/t', '/o'][upto(3)]); break
        case 2: root.set('/l', { type: 'array' }); root.set('/t', { type: 'text' }); break
        case 3: list.insert(upto(Math.min(3, list.length)), upto(1) ? [seed] : ['a', new Uint8Array([1, 2]), [1.5]]); break
        case 4: if (list.length) { const at = upto(list.length - 1); list.delete(at, Math.min(1 + upto(3), list.length - at)) } break
        case 5: text.insert(caret(text, upto(Math.min(3, text.length))), TEXTS[upto(TEXTS.length - 1)]); break
        default: if (text.length) { const at = caret(text, upto(text.length - 1)); text.delete(at, caret(text, at + upto(3)) - at) }
      }
    }
  })
  return made
}

const base64 = (_key, v) => v instanceof Uint8Array ? b64(v) : v

const shape = ({ updates, arrays, texts }) => {
  const doc = new Y.Doc()
  updates.forEach(u => Y.applyUpdate(doc, bytes(u)))
  const read = get => names => Object.fromEntries(names.map(name => [name, get(name)]))
  const found = {
    leaves: doc.getMap('root').toJSON(),
    arrays: read(name => doc.getArray(name).toJSON())(arrays),
    texts: read(name => doc.getText(name).toString())(texts)
  }
  return { shape: JSON.parse(JSON.stringify(found, base64)), pending: doc.store.pendingStructs !== null || doc.store.pendingDs !== null }
}

const OPS = {
  history,
  contended,
  edited,
  shape,
  view: ({ updates }) => {
    const doc = open()
    updates.forEach(u => Y.applyUpdate(doc, bytes(u)))
    return facts(doc)
  },
  sv: ({ update }) => b64(Y.encodeStateVectorFromUpdate(bytes(update))),
  diff: ({ update, sv }) => b64(Y.diffUpdate(bytes(update), bytes(sv))),
  merge: ({ updates }) => b64(Y.mergeUpdates(updates.map(bytes)))
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line)
  let answer
  try { answer = { ok: OPS[request.op](request) } } catch (error) { answer = { error: String(error.stack) } }
  process.stdout.write(JSON.stringify(answer) + '\n')
}
