-- Floats and fields: n steps of five bodies that attract one another; prints milliseconds of processor time.
local n = math.tointeger(arg[1])

local bodies = {}
for i = 1, 5 do
  bodies[i] = { x = math.cos(i) * i, y = math.sin(i) * i, z = i / 10, vx = 0.0, vy = 0.0, vz = 0.0, mass = 1 / i }
end

local function advance(dt)
  for i = 1, #bodies do
    local a = bodies[i]
    for j = i + 1, #bodies do
      local b = bodies[j]
      local dx, dy, dz = a.x - b.x, a.y - b.y, a.z - b.z
      local square = dx * dx + dy * dy + dz * dz + 0.01
      local pull = dt / (square * math.sqrt(square))
      a.vx, b.vx = a.vx - dx * b.mass * pull, b.vx + dx * a.mass * pull
      a.vy, b.vy = a.vy - dy * b.mass * pull, b.vy + dy * a.mass * pull
      a.vz, b.vz = a.vz - dz * b.mass * pull, b.vz + dz * a.mass * pull
    end
  end
  for _, body in ipairs(bodies) do
    body.x, body.y, body.z = body.x + dt * body.vx, body.y + dt * body.vy, body.z + dt * body.vz
  end
end

local start = os.clock()
for _ = 1, n do advance(0.001) end
local spent = os.clock() - start
local momentum = 0
for _, body in ipairs(bodies) do momentum = momentum + body.mass * (body.vx + body.vy + body.vz) end
assert(math.abs(momentum) < 1e-9)
print(spent * 1e3)
