// SPDX-License-Identifier: Apache-2.0

import Hiredis
import Testing

@Test func smoke() throws {
    let reader = ReplyReader()
    try Array("+OK\r\n".utf8).withUnsafeBytes { try reader.feed($0) }
    #expect(try reader.next() == .simpleString("OK"))
    #expect(try reader.next() == nil)
}
