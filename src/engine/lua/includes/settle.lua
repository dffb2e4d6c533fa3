-- Records one attempt's outcome and frees its places, guarded by lane, message and entry: a second settle, a late one
-- or one of another's grant changes nothing.
local function brake_on(s, brake, value)
  s.dirty = true
  if brake == 'N' then
    -- Multiplicative decrease, once a second at most: the answers of one burst tell the same thing.
    if s.rate > 0 and now - s.slow_at > 1000 then
      s.slow = max(current_rate(s) / 2, s.rate / 64)
      s.slow_at = now
      call('HSET', P .. 's:' .. s.id, 'slow', string.format('%.6f', s.slow), 'slowAt', now)
    end
    s.wait_until = max(s.wait_until, now + tonumber(value))
    call('ZREM', P .. 'rs', s.id)
    s.listed = false
    arm('s:' .. s.id, s.wait_until)
  elseif brake == 'T' then
    template_hold(s, value)
  elseif brake == 'S' then
    s.paused = value
    call('HSET', P .. 's:' .. s.id, 'paused', value)
    call('ZREM', P .. 'rs', s.id)
    s.listed = false
  end
end

-- Its expiry came while it was in flight: it must not hold its conversation until the retry.
local function head_expired(lane)
  local expires = match(call('LINDEX', P .. 'c:' .. lane, 0), '^%d+|%d+|(%d+)|')
  return expires and wall >= tonumber(expires)
end

-- `outcome` and the text of its event as the header of exchange.lua has them.
local function settle(lane, id, entry, outcome, text, ambiguous_ms, after_wait)
  local kind, verdict, number, flag, brake, brake_value = outcome, '', 0, false, '', ''
  if #outcome > 1 then
    kind, verdict, number, flag, brake, brake_value = match(outcome, '^(%u)([^|]*)|(%d*)|(%d?)|(%u?)(.*)$')
    number, flag = tonumber(number) or 0, flag == '1'
  end
  local f = load_flight(lane)
  if not f or f.id ~= id or f.entry ~= entry or f.state ~= 'G' then
    if kind == 'S' and prove_sent(id, lane, nil, text) then
      return 2
    end
    return 0
  end
  local s, t = of_lane(lane)
  if kind == 'B' then
    give_back(s, t, lane, f)
    return 1
  end
  free_caps(s, t)
  free_lease(entry)
  local was_probe = s.probe == lane
  if s.circuit or verdict ~= '' then
    if circuit_judge(s, lane, verdict) and kind ~= 'U' and kind ~= 'S' and f.attempts < UNCOUNTED_MAX then
      -- The outage is not the message's fault: no attempt is burnt, it waits at its head for the circuit.
      kind, number, flag = 'R', 0, false
      text = string.gsub(text, '^([^|]*|{"delayMs":)[%d.]+', '%10', 1)
    end
  end
  if brake ~= '' and brake ~= 'P' then
    brake_on(s, brake, brake_value)
  end
  if brake == 'P' and not s.pairs_on then
    s.pairs_on = true
    call('HSET', P .. 's:' .. s.id, 'pairs', 1)
  end
  if s.pairs_on then
    pair_release(s, f.contact, pair_limited(s, f.contact, brake == 'P' and brake_value or '', kind == 'S'))
  end
  local proof = take_proof(id)
  if kind == 'U' and proof then
    -- A status had already told what the lost answer would have.
    move('inFlight', 'sent')
    tell('U', text)
    tell('S', proof)
    drop_head(s, t, lane)
    return 1
  end
  if kind == 'S' or kind == 'F' then
    move('inFlight', kind == 'S' and 'sent' or 'failed')
    tell(kind, text)
    drop_head(s, t, lane)
    return 1
  end
  tell(kind, text)
  if kind == 'U' then
    f.ambiguous = f.ambiguous + 1
    if f.ambiguous >= 2 or after_wait == 'hold' or ambiguous_ms > 0 then
      f.state = (f.ambiguous >= 2 or after_wait == 'hold') and 'H' or 'U'
      store_flight(lane, f)
      call('HSET', P .. 'ui', id, lane)
      move('inFlight', 'unknown')
      arm('l:' .. lane, now + ambiguous_ms)
      return 1
    end
    number = 0
  elseif kind == 'D' or flag then
    f.counted = f.counted + 1
  end
  if kind == 'D' then
    f.deferrals = f.deferrals + 1
    if not flag then
      local element = take_head(s, t, lane)
      local h = element and parse(element)
      if not h then
        end_damaged(element, 'inFlight', id)
        return 1
      end
      local kept = renumber(h, tonumber(h.seq), f)
      park('D', t, lane, id, kept)
      if h.expires ~= '' then
        timers_changed = true
        call('ZADD', P .. 'at', h.expires, expiry_member(h, lane))
      end
      arm('d:' .. id, now + number)
      move('inFlight', 'deferred')
      return 1
    end
    move('inFlight', 'deferred')
    f.state = 'D'
  else
    move('inFlight', 'queued')
    f.state = 'R'
  end
  store_flight(lane, f)
  stay_in_doubt(lane, f)
  if number > 0 and not head_expired(lane) then
    arm('l:' .. lane, now + number)
  else
    -- A probe that failed goes behind the others: a message that fails by itself must not be every probe.
    place(s, t, lane, not was_probe)
  end
  return 1
end
