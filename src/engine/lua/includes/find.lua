-- Finds a message in its lane by its sequence number: they grow along the lane, so a binary search does.
local function find(lane, id, message_seq)
  local key = P .. 'c:' .. lane
  local low, high = 0, call('LLEN', key) - 1
  while low <= high do
    local mid = floor((low + high) / 2)
    local element = call('LINDEX', key, mid)
    local n = tonumber(match(element, '^(%d+)|'))
    if not n then
      return nil -- damaged: its end comes when it is the head
    elseif n == message_seq then
      local h = parse(element)
      if h and h.id == id then
        return element, mid
      end
      return nil
    elseif n < message_seq then
      low = mid + 1
    else
      high = mid - 1
    end
  end
  return nil
end
