// Reads the program, one instruction per burst and one ahead of the dispatcher, until FINISH.
//
// Two instruction slots; a burst is requested only when a slot is reserved for it, so responses are always
// taken at once and never block the load unit on the shared read channel. The request ahead of FINISH may lie
// behind the end of the program: it is dropped, and an address outside the window becomes an error only when
// every earlier instruction has arrived and none was FINISH.
`default_nettype none

module fitact_fetch #(
    parameter BUS_BITS      = 128,
    parameter INSTR_BITS    = 512,
    parameter OPCODE_W      = 4,                // low bits of an instruction
    parameter FINISH_OPCODE = 5
) (
    input  wire                  clk,
    input  wire                  rst_n,
    input  wire                  clear,
    input  wire                  halt,
    input  wire                  start,         // pulse
    input  wire [31:0]           program_address,
    input  wire [31:0]           window_base,
    input  wire [31:0]           window_last,

    output wire                  arvalid,
    input  wire                  arready,
    output wire [31:0]           araddr,
    output wire [7:0]            arlen,
    output wire [2:0]            arsize,
    output wire [1:0]            arburst,
    input  wire                  rvalid,
    output wire                  rready,
    input  wire [BUS_BITS-1:0]   rdata,
    input  wire [1:0]            rresp,
    input  wire                  rlast,

    output wire                  instr_valid,
    input  wire                  instr_ready,
    output wire [INSTR_BITS-1:0] instr_data,

    output wire                  address_error, // pulse
    output wire                  bus_error,     // pulse
    output wire                  busy
);
    localparam BEATS = INSTR_BITS / BUS_BITS;
    localparam BEAT_W = (BEATS > 1) ? $clog2(BEATS) : 1;
    localparam [31:0] LEN = BEATS - 1;
    localparam [31:0] SIZE = $clog2(BUS_BITS / 8);
    localparam [31:0] INSTR_BYTES = INSTR_BITS / 8;
    localparam [31:0] OFFSET_MASK = INSTR_BYTES - 1;
    localparam [31:0] FINISH = FINISH_OPCODE;

    reg active_q;                       // more instructions are wanted
    reg fault_q;                        // an error of this unit: nothing more until clear
    reg [32:0] address_q;               // next request
    reg arvalid_q;
    reg [31:0] araddr_q;
    reg [1:0] inflight_q;               // bursts requested and not yet complete
    reg [BEAT_W-1:0] beat_q;
    reg finish_q;                       // the first beat of FINISH has arrived
    reg drop_q;                         // ... and its last one: whatever follows is not part of the program
    reg [1:0] valid_q;                  // slot holds an instruction
    reg fill_q;                         // slot that is filled next
    reg take_q;                         // slot that is taken next
    reg address_error_q;
    reg bus_error_q;
    reg [INSTR_BITS-1:0] slot0_q;
    reg [INSTR_BITS-1:0] slot1_q;

    wire stop = halt | fault_q;

    // Requests.
    wire [2:0] reserved = {1'b0, inflight_q} + {2'b0, valid_q[0]} + {2'b0, valid_q[1]};
    wire outside = address_q[32] | (address_q[31:0] < window_base)
                 | ((address_q[31:0] | OFFSET_MASK) > window_last)
                 | (|(address_q[31:0] & OFFSET_MASK));
    wire want = active_q & ~stop & ~finish_q & (reserved < 3'd2) & (~arvalid_q | arready);
    wire request = want & ~outside;
    wire reject = want & outside & (inflight_q == 2'd0);

    // Responses.
    wire first_beat = beat_q == {BEAT_W{1'b0}};
    wire is_finish = finish_q | (first_beat & (rdata[OPCODE_W-1:0] == FINISH[OPCODE_W-1:0]));
    wire keep = rvalid & ~stop & ~drop_q;
    wire bad = keep & (rresp != 2'b00);
    wire complete = keep & rlast & ~bad;
    wire taken = instr_valid & instr_ready;

    assign arvalid = arvalid_q;
    assign araddr = araddr_q;
    assign arlen = LEN[7:0];
    assign arsize = SIZE[2:0];
    assign arburst = 2'b01;
    assign rready = 1'b1;
    assign instr_valid = valid_q[take_q];
    assign instr_data = take_q ? slot1_q : slot0_q;
    assign address_error = address_error_q;
    assign bus_error = bus_error_q;
    assign busy = active_q | arvalid_q | (inflight_q != 2'd0) | (valid_q != 2'd0);

    integer i;
    always @(posedge clk) begin
        if (keep) begin
            for (i = 0; i < BEATS; i = i + 1) begin
                if (beat_q == i[BEAT_W-1:0]) begin
                    if (fill_q) slot1_q[i*BUS_BITS +: BUS_BITS] <= rdata;
                    else slot0_q[i*BUS_BITS +: BUS_BITS] <= rdata;
                end
            end
        end
    end

    always @(posedge clk) begin
        if (start) address_q <= {1'b0, program_address};
        else if (request) address_q <= address_q + {1'b0, INSTR_BYTES};
        if (request) araddr_q <= address_q[31:0];
    end

    always @(posedge clk) begin
        if (!rst_n || clear) begin
            active_q <= 1'b0;
            fault_q <= 1'b0;
            arvalid_q <= 1'b0;
            inflight_q <= 2'd0;
            beat_q <= {BEAT_W{1'b0}};
            finish_q <= 1'b0;
            drop_q <= 1'b0;
            valid_q <= 2'd0;
            fill_q <= 1'b0;
            take_q <= 1'b0;
            address_error_q <= 1'b0;
            bus_error_q <= 1'b0;
        end else begin
            address_error_q <= reject;
            bus_error_q <= bad;
            if (reject || bad) fault_q <= 1'b1;

            if (request) arvalid_q <= 1'b1;
            else if (arready) arvalid_q <= 1'b0;
            if (request && !(rvalid && rlast)) inflight_q <= inflight_q + 2'd1;
            if (!request && rvalid && rlast) inflight_q <= inflight_q - 2'd1;

            if (rvalid) beat_q <= rlast ? {BEAT_W{1'b0}} : beat_q + 1'b1;
            if (keep && is_finish) finish_q <= 1'b1;
            if (complete) begin
                drop_q <= is_finish;
                valid_q[fill_q] <= 1'b1;
                fill_q <= ~fill_q;
            end
            if (taken) begin
                valid_q[take_q] <= 1'b0;
                take_q <= ~take_q;
            end

            if (start) active_q <= 1'b1;
            else if (stop || finish_q) active_q <= 1'b0;
            if (stop) valid_q <= 2'd0;
        end
    end
endmodule

`default_nettype wire
