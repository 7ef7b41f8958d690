// SPDX-License-Identifier: Apache-2.0

/// How clients wait at the nodes, and are woken.
///
/// A member of a queue is the identifier of a client, 16 characters, and what the client knows the place by, which begins with
/// `s` if it wants to share the lock.
extension Script {
    /// Declares `tell`, which sends a message to a member of a queue and tells how many heard it; false where the user may not
    /// do that.
    static func telling(channel: String) -> String {
        """
        local function tell(queue, member, rank)
            local text = rank .. ' ' .. string.sub(member, 17) .. ' ' .. queue
            local receivers = redis.pcall('PUBLISH', \(channel) .. string.sub(member, 1, 16), text)
            return type(receivers) == 'number' and receivers
        end
        """
    }

    /// Declares `wake`, which wakes the first of a queue and tells the three behind it to look for themselves if those before
    /// take their time.
    ///
    /// A message is the rank of its receiver, what it knows its place by, and the queue. Whoever is woken has left the queue,
    /// but for the time at which it would be taken for gone; one that still waits takes its place again. It has its turn for a
    /// while, in which those do not take the lock who respect that. Those who can share the lock are woken together. Nobody
    /// hears the message of a client that is gone, so that the next is taken, a few times at most. A user who may not do all
    /// this wakes nobody, and those who wait look for themselves.
    ///
    /// With a member and a ticket, only those before the two are woken. One that is named is woken before the first, if it
    /// waits. 1: somebody is woken, 0: nobody.
    static func waking(channel: String, time: String) -> String {
        """
        \(telling(channel: channel))
        local function wake(queue, turn, member, ticket, named)
            for _ = 1, 8 do
                local waiting = redis.pcall('ZRANGE', queue, 0, 3)
                local first = waiting[1]
                if not first or first == member then return 0 end
                if named and type(redis.pcall('ZSCORE', queue, named)) == 'string' then first = named end
                named = nil
                if ticket then
                    local score = redis.pcall('ZSCORE', queue, first)
                    if type(score) ~= 'string' or tonumber(score) >= ticket then return 0 end
                end
                if type(redis.pcall('ZREM', queue, first)) ~= 'number' then return 0 end
                local receivers = tell(queue, first, 0)
                if not receivers then return 0 end
                if receivers > 0 then
                    redis.pcall('SET', turn, first, 'PX', \(time))
                    local isShared = string.sub(first, 17, 17) == 's'
                    local rank = 0
                    for _, other in ipairs(waiting) do
                        if other ~= first then
                            rank = rank + 1
                            isShared = isShared and string.sub(other, 17, 17) == 's'
                            tell(queue, other, isShared and 0 or rank)
                        end
                    end
                    return 1
                end
            end
            return 0
        end
        """
    }

    /// Takes out of a queue who did not renew its place in time, a few at once.
    static func purging(queue: String, expiry: String) -> String {
        """
        \(clock)
        for _, gone in ipairs(redis.call('ZRANGEBYSCORE', \(expiry), '-inf', now, 'LIMIT', 0, 8)) do
            redis.call('ZREM', \(queue), gone)
            redis.call('ZREM', \(expiry), gone)
        end
        """
    }

    /// Takes a place in a queue, or renews it.
    ///
    /// What comes before has purged the queue, and tells in `left` how long what is waited for is kept from the client, in milliseconds (-1: for ever),
    /// or -2 if it is free.
    ///
    /// 0: it is free, so that there is nothing to wait for, and no place; otherwise `left` and how many wait before the client.
    static func enqueuing(queue: String, expiry: String) -> String {
        """
        if left == -2 and ARGV[4] == '0' then
            redis.call('ZREM', \(queue), ARGV[1])
            redis.call('ZREM', \(expiry), ARGV[1])
            return 0
        end
        redis.call('ZADD', \(queue), ARGV[2], ARGV[1])
        redis.call('ZADD', \(expiry), now + ARGV[3], ARGV[1])
        redis.call('PEXPIRE', \(queue), ARGV[3])
        redis.call('PEXPIRE', \(expiry), ARGV[3])
        return {left, redis.call('ZRANK', \(queue), ARGV[1])}
        """
    }

    /// Takes a place in the queue for a lock that one holder is to have alone.
    ///
    /// KEYS: lock, readers, queue, the same members by when they are taken for gone, turn. ARGV: member, ticket, life of the
    /// place in milliseconds, whether it is taken also where the lock is free.
    package static let enqueue = Script(
        text: """
            \(purging(queue: "KEYS[3]", expiry: "KEYS[4]"))
            local left = math.max(redis.call('PTTL', KEYS[1]), redis.call('PTTL', KEYS[2]))
            if left == -2 then
                local turn = redis.call('GET', KEYS[5])
                if turn and turn ~= ARGV[1] then left = redis.call('PTTL', KEYS[5]) end
            end
            \(enqueuing(queue: "KEYS[3]", expiry: "KEYS[4]"))
            """,
        digest: "e6294b32b617a0adfc48ffbc4729e9e6b49d0531"
    )

    /// Takes a place in the queue for a lock that is to be shared: those who share it keep it from the client as long as
    /// somebody waits to have it alone, has waited for longer, and still hears what it is told.
    ///
    /// KEYS and ARGV: as for `enqueue`, and the beginning of the channels.
    package static let enqueueShared = Script(
        text: """
            \(purging(queue: "KEYS[3]", expiry: "KEYS[4]"))
            local left = redis.call('PTTL', KEYS[1])
            if left == -2 then
                local turn = redis.call('GET', KEYS[5])
                if turn and string.sub(turn, 17, 17) ~= 's' then
                    left = redis.call('PTTL', KEYS[5])
                elseif turn ~= ARGV[1] then
                    \(telling(channel: "ARGV[5]"))
                    local waiting = redis.call('ZRANGE', KEYS[3], 0, 63, 'WITHSCORES')
                    for place = 1, #waiting, 2 do
                        local member = waiting[place]
                        if tonumber(waiting[place + 1]) >= tonumber(ARGV[2]) then break end
                        if string.sub(member, 17, 17) ~= 's' then
                            if tell(KEYS[3], member, 'not yet') ~= 0 then
                                left = redis.call('PTTL', KEYS[2])
                                break
                            end
                            redis.call('ZREM', KEYS[3], member)
                            redis.call('ZREM', KEYS[4], member)
                        end
                    end
                end
            end
            \(enqueuing(queue: "KEYS[3]", expiry: "KEYS[4]"))
            """,
        digest: "a0f883cca9b340f583abffae717ae5e61a1101e2"
    )

    /// Takes a member out of a queue, and its turn from it; `waited` tells whether it had not been woken.
    static func leaving(queue: String, expiry: String, turn: String) -> String {
        """
        redis.call('ZREM', \(expiry), ARGV[1])
        if redis.call('GET', \(turn)) == ARGV[1] then redis.call('DEL', \(turn)) end
        local waited = redis.call('ZREM', \(queue), ARGV[1]) == 1
        """
    }

    /// Gives up a place in the queue for a lock.
    ///
    /// A client that was woken by then, and does not take a lock that is free, wakes the next. So does one that waited to have
    /// it alone, and kept it from those who want to share it.
    ///
    /// 1: somebody is woken, 0: nobody.
    ///
    /// KEYS: lock, queue, the same members by when they are taken for gone, turn. ARGV: member, beginning of the channels,
    /// time of a turn in milliseconds.
    package static let leaveQueue = Script(
        text: """
            \(leaving(queue: "KEYS[2]", expiry: "KEYS[3]", turn: "KEYS[4]"))
            if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
            if waited then
                local first = redis.call('ZRANGE', KEYS[2], 0, 0)[1]
                if not first or string.sub(first, 17, 17) ~= 's' then return 0 end
            end
            \(waking(channel: "ARGV[2]", time: "ARGV[3]"))
            return wake(KEYS[2], KEYS[4])
            """,
        digest: "9c056b6776913bdd57636ee5a467a3f6b9dec97b"
    )
}
