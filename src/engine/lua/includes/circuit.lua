-- The circuit breaker of a sender, shared by all workers. s.circuit = when a probe may go (nil: closed), s.probe = the
-- lane of the probe in flight. While it is open nothing of the sender is handed over; after its time a single lane is,
-- and its outcome closes the circuit or opens it again. Who counts the failures that open it are the workers.
local UNCOUNTED_MAX = 100 -- attempts after which an outage is no longer an excuse for the message itself

-- Kept with the sender, and in an index of the circuits that are not closed.
local function circuit_store(s)
  if s.circuit then
    local value = format('%d|', s.circuit) .. (s.probe or '')
    call('HSET', P .. 's:' .. s.id, 'circuit', value)
    call('HSET', P .. 'cb', s.id, value)
  else
    call('HDEL', P .. 's:' .. s.id, 'circuit')
    call('HDEL', P .. 'cb', s.id)
  end
end

local function circuit_open(s, ms, reason)
  s.circuit = ceil(now + ms)
  s.probe = nil
  circuit_store(s)
  call('ZREM', P .. 'rs', s.id)
  s.listed = false
  s.wait_until = max(s.wait_until, s.circuit)
  s.dirty = true
  arm('s:' .. s.id, s.wait_until)
  count('circuitOpened', 1)
  event('B', s.id, format('{"state":"open","untilMs":%d,"reason":"%s"}', wall + s.circuit - now, reason))
end

local function circuit_close(s)
  s.circuit = nil
  s.probe = nil
  circuit_store(s)
  count('circuitClosed', 1)
  event('B', s.id, '{"state":"closed","untilMs":null,"reason":"probe"}')
  able(s)
end

-- The probe goes now: nobody else does until it has ended.
local function circuit_probe(s, lane)
  s.probe = lane
  circuit_store(s)
  call('ZREM', P .. 'rs', s.id)
  s.listed = false
end

-- The probe came back without having told anything (given back, its worker died): another one may go.
local function circuit_unprobe(s, lane)
  if s.probe == lane then
    s.probe = nil
    circuit_store(s)
    able(s)
  end
end

-- What an outcome says of the sender's health: '' nothing bad, '-<ms>' bad, '!<ms>' so bad that the circuit opens.
-- True when it was bad and the circuit is open now: then it was the outage, not the message.
local function circuit_judge(s, lane, verdict)
  local was_probe = s.probe == lane
  if verdict == '' then
    if was_probe then
      circuit_close(s)
    end
    return false
  end
  if was_probe then
    circuit_open(s, tonumber(sub(verdict, 2)), 'probe')
  elseif not s.circuit and sub(verdict, 1, 1) == '!' then
    circuit_open(s, tonumber(sub(verdict, 2)), 'failures')
  end
  return s.circuit ~= nil
end
