// SPDX-License-Identifier: Apache-2.0

#if os(Linux)
    import Hiredis
    import Redlock
    import RedlockSimulation
    import RedlockTesting
    import Testing

    /// What goes into scripts and comes out of them is converted as a real server converts it.
    @Suite(.serialized)
    struct LuaAgainstRedisTests {
        /// What scripts may do, and what they must not; `list` holds no string, and `text` none that is a number.
        private static let scripts = [
            // Answers.
            "return 3.9", "return -3.9", "return 0/0", "return 1e300", "return -1e300", "return 9007199254740993",
            "return true", "return false", "return nil", "return", "return 'text'", "return ''", "return 'a\\0b'",
            "return {}", "return {1, 2.5, 'three', false, true}", "return {1, nil, 3}", "return {1, {2, {3, 'four'}}}",
            "return {ok = 'fine'}", "return {err = 'CODE what happened'}", "return {err = 'x', ok = 'y'}",
            "return {a = 1}", "return {1, a = 2}", "return function() end", "return redis.status_reply('fine')",
            "return redis.error_reply('CODE what happened')", "return redis.error_reply('-CODE what happened')",
            "return redis.error_reply('what')", "return redis.error_reply(1)", "return redis.status_reply({})",
            "return {KEYS, ARGV}", "return #KEYS + #ARGV * 10", "return ARGV[5]",
            // Numbers on the way to commands.
            "redis.call('SET', 'k', 3.5) return redis.call('GET', 'k')",
            "redis.call('SET', 'k', 1e15) return redis.call('GET', 'k')",
            "redis.call('SET', 'k', 1e16 + 2) return redis.call('GET', 'k')",
            "redis.call('SET', 'k', 1e17) return redis.call('GET', 'k')",
            "redis.call('SET', 'k', -0.0) return redis.call('GET', 'k')",
            "redis.call('SET', 'k', 0.1) return redis.call('GET', 'k')",
            "redis.call('SET', 'k', 1 / 0) return redis.call('GET', 'k')",
            "return 1e15 .. ' ' .. 123456789012345678 .. ' ' .. 0.1 .. ' ' .. 1e14",
            "redis.call('ZADD', 'z', 1e17, 'm', 0.1, 'n', '-inf', 'o') return redis.call('ZRANGE', 'z', 0, -1, 'WITHSCORES')",
            "redis.call('ZADD', 'z', 3, 'm') return redis.call('ZSCORE', 'z', 'm') + 1",
            // Answers of commands.
            "return type(redis.call('GET', 'none'))", "return type(redis.call('SET', 'k', 'v'))",
            "return redis.call('SET', 'k', 'v').ok", "return redis.call('SET', 'k', 'v', 'NX')",
            "return redis.call('SET', 'text', 'v', 'nx') == false", "return type(redis.call('PTTL', 'none'))",
            "return redis.call('PTTL', 'none') / 4", "return redis.call('get', 'text')",
            "return redis.call('EXISTS', 'text', 'none', 'text')", "return redis.call('DEL', 'text', 'none')",
            "return #redis.call('ZRANGE', 'none', 0, -1)", "return redis.call('ZRANK', 'none', 'm')",
            "return redis.call('INCRBY', 'n', 5) + redis.call('INCRBY', 'n', '-7')",
            "return type(redis.call('TIME')[1])", "return redis.call('PUBLISH', 'nobody', 'text')",
            // Sorted sets.
            "for i = 1, 9 do redis.call('ZADD', 'z', i % 4, 'm' .. i) end return redis.call('ZRANGE', 'z', -3, 20)",
            "for i = 1, 9 do redis.call('ZADD', 'z', i, 'm' .. i) end return redis.call('ZRANGE', 'z', 5, 2)",
            "for i = 1, 9 do redis.call('ZADD', 'z', i, 'm' .. i) end return redis.call('ZRANGE', 'z', -20, -8)",
            "for i = 1, 9 do redis.call('ZADD', 'z', i, 'm' .. i) end "
                + "return redis.call('ZRANGEBYSCORE', 'z', '(2', 7, 'LIMIT', 1, 3)",
            "for i = 1, 9 do redis.call('ZADD', 'z', i, 'm' .. i) end "
                + "return redis.call('ZRANGEBYSCORE', 'z', 2, '(7', 'WITHSCORES', 'LIMIT', 2, -1)",
            "for i = 1, 9 do redis.call('ZADD', 'z', i, 'm' .. i) end "
                + "return {redis.call('ZREMRANGEBYSCORE', 'z', '(2', '(7'), redis.call('ZCARD', 'z')}",
            "redis.call('ZADD', 'z', 1, 'm') return {redis.call('ZREM', 'z', 'm', 'n', 'm'), redis.call('EXISTS', 'z')}",
            "redis.call('ZADD', 'z', 1, 'm') return {redis.call('ZADD', 'z', 2, 'm', 3, 'n'), redis.call('ZRANK', 'z', 'n')}",
            // Errors that end the script, and stay where they are.
            "return redis.call('GET', 'list')", "return redis.pcall('GET', 'list')",
            "local reply = redis.pcall('GET', 'list')\nreturn {type(reply), reply.err}",
            "redis.call('SET', 'k', 'kept')\n\nredis.call('INCRBY', 'text', 1)\nredis.call('SET', 'k', 'lost')",
            "local function f()\n return redis.call('GET', 'list')\nend\nreturn f()",
            "return redis.call()", "return redis.call('NONE')", "return redis.pcall('NONE', 'x')",
            "return redis.call('GET')", "return redis.call('GET', {})", "return redis.call('GET', nil)",
            "return redis.call('EVAL', 'return 1', 0)", "return redis.call('SUBSCRIBE', 'x')",
            "return redis.call('SCRIPT', 'LOAD', 'return 1')", "return redis.call('CONFIG', 'GET', 'x')",
            "return redis.call('SET', 'k', 'v', 'PX', 'x')", "return redis.call('SET', 'k', 'v', 'PX', 0)",
            "return redis.call('SET', 'k', 'v', 'PX')", "return redis.call('SET', 'k', 'v', 'NX', 'XX')",
            "return redis.call('SET', 'k', 'v', 'PX', '9223372036854775807')",
            "return redis.call('PEXPIRE', 'text', 'x')", "return redis.call('PEXPIRE', 'text', '9223372036854775807')",
            "return redis.call('PEXPIRE', 'text', -1)", "return redis.call('PEXPIRE', 'none', 1)",
            "return redis.call('PEXPIREAT', 'text', 1e17)", "return redis.call('PEXPIREAT', 'text', 5)",
            "return redis.call('INCRBY', 'n', 1.5)", "return redis.call('INCRBY', 'n', '+1')",
            "return redis.call('INCRBY', 'n', '-9223372036854775808')", "return redis.call('INCRBY', 'n', '01')",
            "return redis.call('ZADD', 'z', 'x', 'm')", "return redis.call('ZADD', 'z', 'nan', 'm')",
            "return redis.call('ZADD', 'z', '1e3', 'm', '')", "return redis.call('ZADD', 'list', 1, 'm')",
            "return redis.call('ZRANGE', 'text', 0, -1)", "return redis.call('ZRANGE', 'z', 'x', -1)",
            "return redis.call('ZRANGEBYSCORE', 'z', 'x', 1)", "return redis.call('ZREMRANGEBYSCORE', 'z', 1, '(')",
            "redis.call('ZADD', 'z', -1, 'm', 0, 'n', 1, 'o') return redis.call('ZRANGEBYSCORE', 'z', '', ' 1')",
            "return redis.call('ZADD', 'z', ' 1', 'm')", "return redis.call('ZADD', 'z', '', 'm')",
            "return redis.call('ZRANGEBYSCORE', 'z', 1, 2, 'LIMIT', 'x', 1)",
            "return redis.call('ZSCORE', 'text', 'm')",
            "return redis.call('ZCARD', 'list')", "return redis.call('ZREM', 'list', 'm')",
            "local x\nreturn x + 1", "return 'x' + 1", "return nil .. 'x'", "return {} < 1", "return math.max(1, nil)",
            "\n\nerror('what happened')", "error({err = 'CODE what happened'})", "error('what happened', 0)",
            "return unknown", "unknown = 1", "redis = 1", "KEYS = {}", "string.sub = 1", "redis.call = 1",
            "this is no Lua",
            "return tonumber('0x10') + tonumber(' 5 ')", "return tonumber('x')", "return string.format('%.0f', 2^53)",
            "return string.format('%010d%06d', '12', 34)", "return table.concat({1, 2.5, 'x'}, ' ')",
            "return {string.match('12 x rest of it', '^(%d+) (%S+) (.*)$')}", "return tostring(1e100)",
        ]

        @Test
        func scriptsDoWhatTheyDoOnARealServer() async throws {
            try await RedisComparison.with { comparison, _ in
                var errors = 0
                for script in Self.scripts {
                    try comparison.clear()
                    let steps = [
                        try Step.plain("SET", "text", "not a number"),
                        try Step.outside(["RPUSH", "list", "x"]) { $0.putCollection(at: "list") },
                        try Step.plain("EVAL", script, "2", "first", "second", "third", "4"),
                    ]
                    if let difference = try comparison.run(steps + Step.lookAtAll(["text", "list", "k", "n", "z"])) {
                        Issue.record("\(script)\n\(difference)")
                    }
                    if try comparison.sendToReal(["EVAL", script, "2", "first", "second", "third", "4"]).error != nil {
                        errors += 1
                    }
                }
                #expect(errors > 30 && errors < Self.scripts.count - 30)
            }
        }

        /// The control: a script that is another one on the simulated server is found out.
        @Test(arguments: [
            ("return 1", "return 2"), ("return {1}", "return {1, 1}"), ("error('x')", "\nerror('x')"),
            ("redis.call('SET', 'k', 1)", "redis.call('SET', 'k', 2)"), ("redis.call('SET', 'k', 1)", "return nil"),
        ])
        func anotherScriptIsFoundOut(real: String, simulated: String) async throws {
            try await RedisComparison.with { comparison, _ in
                var step = try Step.plain("EVAL", real, "0")
                #expect(try comparison.run([step] + Step.lookAtAll(["k"])) == nil)
                try comparison.clear()
                let other = try Step.plain("EVAL", simulated, "0")
                step = Step(
                    name: step.name,
                    kind: step.kind,
                    commands: step.commands,
                    commandCount: 1,
                    simulate: other.simulate
                )
                #expect(try comparison.run([step] + Step.lookAtAll(["k"])) != nil)
            }
        }

        /// What commands without a script answer where they are not used as they should be.
        @Test
        func wrongCommandsAreRefusedAsARealServerRefusesThem() async throws {
            try await RedisComparison.with { comparison, _ in
                let commands = [
                    ["GET"], ["GET", "a", "b"], ["TIME", "x"], ["INCRBY", "a"], ["SET", "a"], ["SET", "a", "b", "c"],
                    ["EVAL", "return 1"], ["EVAL", "return 1", "x"], ["EVAL", "return 1", "1"],
                    ["EVAL", "return 1", "-1"],
                    ["EVALSHA", "0123", "0"], ["SCRIPT", "LOAD"], ["SCRIPT", "LOAD", "no Lua"],
                    ["script", "load", "return 1"],
                    ["zadd", "z", "1"], ["ZADD", "z", "1", "a", "2"], ["ZCARD"], ["ZRANK", "z"], ["CONFIG", "GET"],
                    ["PUBLISH", "x"], ["EXISTS"], ["DEL"], ["SCAN"], ["PEXPIRE", "a"], ["PEXPIREAT", "a"], ["PTTL"],
                ]
                for command in commands {
                    let difference = try comparison.run([Step.command(.plain(command))])
                    if let difference { Issue.record("\(difference)") }
                }
            }
        }
    }
#endif
