// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

extension RedisEndpoint {
    /// The endpoint that a URL names.
    ///
    /// - Parameter defaultPassword: the password for a URL without one.
    /// - Throws: `RedisEndpointError` that says what is wrong with the URL, without its password.
    package init(url: String, defaultPassword: String?) throws(RedisEndpointError) {
        do throws(Problem) {
            let text = RedisURLText(url)
            guard !text.scheme.isEmpty else { throw Problem("it is not a URL such as redis://127.0.0.1:6379") }
            let user = try Self.userInformation(of: text)
            let name = try Self.name(of: text)
            switch text.scheme.lowercased() {
            case "redis", "rediss": self = try Self.host(of: text)
            case "redis+unix": self = try Self.socket(of: text)
            default: throw Problem("the scheme must be redis, rediss or redis+unix")
            }
            self.name = name
            username = user.name
            password = user.password ?? defaultPassword
            guard username == nil || password != nil else { throw Problem("it names a user without a password") }
            try checkAddress()
        } catch {
            throw RedisEndpointError(url: url, problem: error.text)
        }
    }

    /// What is wrong with an endpoint, without any part of its password.
    package struct Problem: Error {
        package let text: String

        init(_ text: String) { self.text = text }
    }

    /// Checks what no connection can be made with, however the endpoint was made.
    package func checkAddress() throws(Problem) {
        switch address {
        case .host(let host, let port):
            guard !host.isEmpty else { throw Problem("it names no host") }
            guard (1...65535).contains(port) else { throw Problem("the port must be from 1 to 65535") }
        case .unixSocket(let path):
            guard !path.isEmpty else { throw Problem("it names no socket path") }
            let longest = Self.longestSocketPath
            guard path.utf8.count <= longest else {
                throw Problem(
                    "the socket path has \(path.utf8.count) bytes, and the system allows \(longest); use a shorter one, "
                        + "such as a symbolic link in /tmp"
                )
            }
        }
        // The server reads the number into as many bits.
        guard (0...Int(Int32.max)).contains(database) else { throw Self.wrongDatabase }
    }

    private static var wrongDatabase: Problem { Problem("the database must be a number from 0 to \(Int32.max)") }

    /// The zero that ends the path takes a byte as well.
    private static var longestSocketPath: Int { MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1 }

    // MARK: The parts of a URL

    private static func userInformation(
        of text: RedisURLText
    ) throws(Problem) -> (name: String?, password: String?) {
        guard let information = text.userInformation else { return (nil, nil) }
        let parts = information.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        do throws(RedisURLText.WrongCharacter) {
            var decoded: [String] = []
            for part in parts { decoded.append(try RedisURLText.decoded(part, reserved: "#?/@[] ")) }
            return (decoded[0].isEmpty ? nil : decoded[0], decoded.count > 1 ? decoded[1] : nil)
        } catch {
            // A name behind # or a socket path with an @ looks the same.
            throw Problem("in a user name or password, \(error.advice); all before the last @ is taken for them")
        }
    }

    private static func name(of text: RedisURLText) throws(Problem) -> String? {
        guard let fragment = text.fragment else { return nil }
        let name: String
        do throws(RedisURLText.WrongCharacter) {
            name = try RedisURLText.decoded(fragment, reserved: "@ ")
        } catch {
            throw Problem("in the name behind #, \(error.advice)")
        }
        guard (1...64).contains(name.utf8.count), !name.containsControlCharacters else {
            throw Problem("the name behind # must have 1 to 64 bytes without control characters")
        }
        return name
    }

    private static func host(of text: RedisURLText) throws(Problem) -> RedisEndpoint {
        guard text.query == nil else { throw Problem("it takes no query (?)") }
        let isBracketed = text.authority.first == "["
        let end = text.authority.firstIndex(of: isBracketed ? "]" : ":") ?? text.authority.endIndex
        let written = isBracketed ? text.authority[..<end].dropFirst() : text.authority[..<end]
        let behindHost = isBracketed ? text.authority[end...].dropFirst() : text.authority[end...]
        guard let host = try? RedisURLText.decoded(written, reserved: " "),
            host.allSatisfy({ canStandInHost($0) || isBracketed && ":%".contains($0) }),
            !isBracketed || end < text.authority.endIndex, behindHost.isEmpty || behindHost.first == ":"
        else { throw Problem("the host has characters that no host name or address has") }
        let port = behindHost.count <= 1 ? 6379 : number(behindHost.dropFirst()) ?? 0
        var endpoint = RedisEndpoint(address: .host(host.lowercased(), port: port))
        endpoint.database = try database(text.path.count <= 1 ? "0" : text.path.dropFirst())
        endpoint.tls = text.scheme.lowercased() == "rediss" ? TLSSettings() : nil
        return endpoint
    }

    private static func socket(of text: RedisURLText) throws(Problem) -> RedisEndpoint {
        guard text.authority.isEmpty else {
            throw Problem("a socket path needs three slashes: redis+unix:///path/to/socket")
        }
        guard text.path.count > 1 else { throw Problem("it names no socket path") }
        let path: String
        do throws(RedisURLText.WrongCharacter) {
            path = try RedisURLText.decoded(text.path, reserved: " ")
        } catch {
            throw Problem("in a socket path, \(error.advice)")
        }
        guard !path.containsControlCharacters else { throw Problem("the socket path has control characters") }
        var endpoint = RedisEndpoint(address: .unixSocket(path: path))
        if let query = text.query {
            guard query.hasPrefix("database=") else { throw Problem("the only query it takes is database=NUMBER") }
            endpoint.database = try database(query.dropFirst("database=".count))
        }
        return endpoint
    }

    /// Letters and digits of any script, and what stands between them in names and addresses.
    private static func canStandInHost(_ character: Character) -> Bool {
        character.isLetter || character.isNumber || "-._".contains(character)
    }

    private static func database(_ text: Substring) throws(Problem) -> Int {
        guard let number = number(text) else { throw wrongDatabase }
        return number
    }

    /// Digits and nothing else.
    private static func number(_ text: Substring) -> Int? {
        text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ? Int(text) : nil
    }
}
