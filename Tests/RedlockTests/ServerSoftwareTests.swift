// SPDX-License-Identifier: Apache-2.0

import LockCore
import Testing

@testable import Redlock

/// What servers call themselves in their answer to INFO.
struct ServerSoftwareTests {
    @Test(arguments: [
        ("redis_version:7.0.15\r\n", "Redis 7.0.15"),
        ("redis_version:8.0.1\r\nserver_name:redis\r\n", "Redis 8.0.1"),
        (
            "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\n",
            "valkey 8.0.1 (redis_version 7.2.4)"
        ),
        ("redis_version:7.2.4\r\nvalkey_version:7.2.5\r\n", "valkey 7.2.5 (redis_version 7.2.4)"),
        ("redis_version:7.4.0\r\ndragonfly_version:df-v1.2\r\n", "dragonfly df-v1.2 (redis_version 7.4.0)"),
        ("redis_version:6.3.4\r\nserver_name:other\r\n", "other (redis_version 6.3.4)"),
        ("server_name:other\r\n", "other"), ("redis_version:\r\nrun_id:abc\r\n", nil), ("", nil),
    ])
    func nameAndVersionAreTold(_ information: String, _ expected: String?) {
        #expect(NodeInspection.facts(inInfo: information).software == expected)
    }
}
