-- path_spec.lua: the module `path`: paths as text.

local path = require "path"
local tasks = require "tasks"

-- What f gives for each of the arguments.
local function check(f, expected)
  for argument, result in pairs(expected) do assert.equal(result, f(argument), argument) end
end

describe("path", function()
  it("has exactly what it documents", function()
    local names = {}
    for name in pairs(path) do names[#names + 1] = name end
    table.sort(names)
    assert.equal("basename dirname extension is_absolute join normalize relative split stem",
      table.concat(names, " "))
  end)

  it("joins, and begins anew at an absolute path", function()
    assert.equal("a", path.join("a"))
    assert.equal("a/b/c", path.join("a", "b", "c"))
    assert.equal("a/b", path.join("a/", "b"))
    assert.equal("a/b", path.join("a///", "b"))
    assert.equal("/b", path.join("a", "/b"))
    assert.equal("/b", path.join("/", "b"))
    assert.equal("b", path.join("", "b"))
    assert.equal("a", path.join("a", ""))
    assert.equal("../a\nb/\xff", path.join("..", "a\nb", "\xff"))
  end)

  it("splits into folder and last name, as dirname and basename do", function()
    local folders = {[""] = ".", ["/"] = "/", ["//"] = "/", a = ".", ["a/"] = ".", ["/a"] = "/", ["/a/"] = "/",
      ["a/b"] = "a", ["a//b//"] = "a", ["/a/b/c"] = "/a/b", [".."] = ".", ["x\n/y"] = "x\n"}
    local names = {[""] = "", ["/"] = "/", ["//"] = "/", a = "a", ["a/"] = "a", ["/a"] = "a", ["/a/"] = "a",
      ["a/b"] = "b", ["a//b//"] = "b", ["/a/b/c"] = "c", [".."] = "..", ["x/y\n"] = "y\n"}
    check(path.dirname, folders)
    check(path.basename, names)
    for argument, folder in pairs(folders) do
      local got, name = path.split(argument)
      assert.equal(folder, got)
      assert.equal(path.basename(argument), name)
    end
  end)

  it("finds stem and extension", function()
    check(path.extension, {["a.lua"] = ".lua", ["a/b.tar.gz"] = ".gz", [".bashrc"] = "", [".a.b"] = ".b", ["a."] = ".",
      a = "", ["a.b/c"] = "", ["..."] = "", [".."] = "", ["a.b/"] = ".b", ["..a"] = ""})
    check(path.stem, {["a.lua"] = "a", ["a/b.tar.gz"] = "b.tar", [".bashrc"] = ".bashrc", [".a.b"] = ".a", ["a."] = "a",
      a = "a", ["a.b/c"] = "c", ["..."] = "...", [".."] = "..", ["a.b/"] = "a", ["..a"] = "..a"})
  end)

  it("takes as long as the path is", function()
    local long = 300000
    for _, between in ipairs {"/", ".", "a"} do
      local name = "a" .. between:rep(long) .. "b"
      local folder, last = path.split(name)
      assert.equal(between == "/" and "ab" or "." .. name, folder .. last)
      assert.equal(last, path.stem(name) .. path.extension(name))
    end
    assert.equal("/", path.dirname(("/"):rep(long)))
    assert.equal("a/b", path.join("a" .. ("/"):rep(long), "b"))
  end)

  it("normalizes", function()
    check(path.normalize, {[""] = ".", ["."] = ".", ["/"] = "/", ["//"] = "/", ["a/"] = "a", ["./a//b/."] = "a/b",
      ["a/.."] = ".", ["a/../.."] = "..", ["../../a/../b"] = "../../b", ["/.."] = "/", ["/../a/./b/../c"] = "/a/c",
      ["..."] = "..."})
  end)

  it("finds the way from one path to another", function()
    local function way(expected, ...) assert.equal(expected, path.relative(...)) end
    way("../../b", "/a/b", "/a/c/d")
    way("b", "/a/b", "/a")
    way(".", "/a/b/", "/a/./b")
    way("..", "/a", "/a/b")
    way("../..", "/", "/a/b")
    way("a/b", "a/./b")
    way("../a", "a", "b")
    way("../x", "../x")
    way("../../x", "../x", "y")
    way("../x", "../../x", "../y/..")
    assert.equal("path: relative: '/a' and 'b': both have to be absolute, or neither", tasks.refused(function()
      path.relative("/a", "b")
    end))
    assert.equal("path: relative: the way from '../b' to 'a' goes through folders without a name",
      tasks.refused(function() path.relative("a", "../b") end))
  end)

  it("tells absolute ones", function()
    check(path.is_absolute, {["/"] = true, ["/a"] = true, a = false, [""] = false, ["./a"] = false})
  end)

  it("refuses what is no path, with the caller's position", function()
    for name in pairs(path) do
      assert.equal(("path: %s: a string expected as path, got nil"):format(name), tasks.refused(function()
        path[name]()
      end))
    end
    assert.equal("path: join: a string expected as path, got a table", tasks.refused(function()
      path.join("a", {})
    end))
  end)
end)
