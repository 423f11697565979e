// Address side of a strided transfer, shared by fitact_load and fitact_store: walks planes and rows and cuts
// each row into AXI bursts of whole words. A word has one of two sizes, chosen per transfer.
//
// A row that lies outside the window, or is misaligned or empty, is rejected as a whole: nothing of it is
// requested. While `stop` is high nothing new is requested. The data side takes the bursts, in order, from a
// queue (`burst_*`).
`default_nettype none

module fitact_bursts #(
    parameter BUS_BITS        = 128,
    parameter WORD_BYTES      = 16,            // powers of two, at most 512
    parameter WIDE_WORD_BYTES = 128,
    parameter MAX_OUTSTANDING = 8
) (
    input  wire        clk,
    input  wire        rst_n,
    input  wire        clear,
    input  wire        stop,
    input  wire [31:0] window_base,
    input  wire [31:0] window_last,

    input  wire        start_valid,
    output wire        start_ready,            // every row of the transfer before is on its way
    input  wire        wide,                   // words have WIDE_WORD_BYTES
    input  wire [31:0] mem_addr,
    input  wire [15:0] cols,
    input  wire [15:0] rows,
    input  wire [15:0] planes,
    input  wire [31:0] row_stride,
    input  wire [31:0] plane_stride,

    output wire        request_valid,          // AR or AW
    input  wire        request_ready,
    output wire [31:0] request_addr,
    output wire [7:0]  request_len,
    output wire [2:0]  request_size,
    input  wire        response,               // a burst has completed

    output wire        burst_valid,
    input  wire        burst_ready,
    output wire [7:0]  burst_words,            // less one
    output wire [5:0]  burst_low,              // low bits of the first address: they select the byte lanes

    output wire        walking,                // rows are not requested yet
    output wire        outstanding,            // bursts are not complete
    output wire        address_error           // the present row is rejected
);
    localparam BUS_LOG = $clog2(BUS_BITS / 8);
    localparam N_LOG = $clog2(WORD_BYTES);
    localparam W_LOG = $clog2(WIDE_WORD_BYTES);
    // A beat carries a whole word if the word is narrower than the bus.
    localparam [31:0] N_SIZE = (N_LOG < BUS_LOG) ? N_LOG : BUS_LOG;
    localparam [31:0] W_SIZE = (W_LOG < BUS_LOG) ? W_LOG : BUS_LOG;
    localparam N_BEATS_LOG = N_LOG - N_SIZE;
    localparam W_BEATS_LOG = W_LOG - W_SIZE;
    // Bursts end at multiples of this: it divides 4 KiB and is at most 256 beats.
    localparam [31:0] N_CHUNK = (N_SIZE > 4) ? 4096 : (256 << N_SIZE);
    localparam [31:0] W_CHUNK = (W_SIZE > 4) ? 4096 : (256 << W_SIZE);
    localparam [31:0] N_MASK = WORD_BYTES - 1;
    localparam [31:0] W_MASK = WIDE_WORD_BYTES - 1;
    localparam COUNT_W = $clog2(MAX_OUTSTANDING + 1);
    localparam [31:0] MAX = MAX_OUTSTANDING;

    // ---------------------------------------------------------------- rows
    reg walk_q;                         // rows are left
    reg walk_wide_q;
    reg [15:0] cols_q;
    reg [15:0] rows_q;                  // per plane
    reg [15:0] rows_left_q;
    reg [15:0] planes_left_q;
    reg [31:0] row_stride_q;
    reg [31:0] plane_stride_q;
    reg [32:0] row_addr_q;              // bit 32: beyond the address space
    reg [32:0] plane_addr_q;

    wire start = start_valid & start_ready;
    wire last_row = rows_left_q == 16'd1;
    wire last_plane = planes_left_q == 16'd1;
    wire [32:0] next_plane = plane_addr_q + {1'b0, plane_stride_q};
    wire [33:0] row_bytes = walk_wide_q ? ({18'd0, cols_q} << W_LOG) : ({18'd0, cols_q} << N_LOG);
    wire row_taken;

    assign start_ready = ~walk_q;

    always @(posedge clk) begin
        if (start) begin
            walk_wide_q <= wide;
            cols_q <= cols;
            rows_q <= rows;
            rows_left_q <= rows;
            planes_left_q <= planes;
            row_stride_q <= row_stride;
            plane_stride_q <= plane_stride;
            row_addr_q <= {1'b0, mem_addr};
            plane_addr_q <= {1'b0, mem_addr};
        end else if (row_taken) begin
            if (last_row) begin
                rows_left_q <= rows_q;
                planes_left_q <= planes_left_q - 16'd1;
                row_addr_q <= next_plane;
                plane_addr_q <= next_plane;
            end else begin
                rows_left_q <= rows_left_q - 16'd1;
                row_addr_q <= row_addr_q + {1'b0, row_stride_q};
            end
        end
    end

    // ---------------------------------------------------------------- bursts of one row
    reg row_q;                          // the row below is to be requested
    reg row_wide_q;
    reg [31:0] addr_q;
    reg [33:0] end_q;                   // last byte of the row
    reg [15:0] words_q;                 // words left
    reg request_q;
    reg [31:0] request_addr_q;
    reg [7:0] request_len_q;
    reg [2:0] request_size_q;
    reg [COUNT_W-1:0] outstanding_q;

    wire misaligned = |(addr_q[8:0] & (row_wide_q ? W_MASK[8:0] : N_MASK[8:0]));
    wire outside = (|end_q[33:32]) | (end_q[31:0] > window_last) | (addr_q < window_base);
    wire reject = row_q & ~stop & (misaligned | outside | (words_q == 16'd0));

    wire [12:0] chunk = row_wide_q ? W_CHUNK[12:0] : N_CHUNK[12:0];
    wire [12:0] room_bytes = chunk - ({1'b0, addr_q[11:0]} & (chunk - 13'd1));
    wire [12:0] room = row_wide_q ? (room_bytes >> W_LOG) : (room_bytes >> N_LOG);
    wire last_burst = words_q <= {3'd0, room};
    wire [12:0] words = last_burst ? words_q[12:0] : room;
    wire [12:0] beats = row_wide_q ? (words << W_BEATS_LOG) : (words << N_BEATS_LOG);

    wire free = (~request_q | request_ready) & (outstanding_q != MAX[COUNT_W-1:0]);
    wire queue_ready;
    wire request = row_q & ~stop & ~reject & free & queue_ready;
    wire row_done = request & last_burst;

    assign row_taken = walk_q & (~row_q | row_done);

    always @(posedge clk) begin
        if (row_taken) begin
            row_wide_q <= walk_wide_q;
            addr_q <= row_addr_q[31:0];
            end_q <= {1'b0, row_addr_q} + row_bytes - 34'd1;
            words_q <= cols_q;
        end else if (request) begin
            addr_q <= addr_q + {19'd0, room_bytes};
            words_q <= words_q - {3'd0, room};
        end
        if (request) begin
            request_addr_q <= addr_q;
            request_len_q <= beats[7:0] - 8'd1;
            request_size_q <= row_wide_q ? W_SIZE[2:0] : N_SIZE[2:0];
        end
    end

    fitact_fifo #(
        .WIDTH(14),
        .DEPTH(MAX_OUTSTANDING)
    ) u_queue (
        .clk(clk),
        .rst_n(rst_n),
        .clear(clear),
        .in_valid(request),
        .in_ready(queue_ready),
        .in_data({words[7:0] - 8'd1, addr_q[5:0]}),
        .out_valid(burst_valid),
        .out_ready(burst_ready),
        .out_data({burst_words, burst_low})
    );

    assign request_valid = request_q;
    assign request_addr = request_addr_q;
    assign request_len = request_len_q;
    assign request_size = request_size_q;
    assign walking = walk_q | row_q;
    assign outstanding = outstanding_q != {COUNT_W{1'b0}};
    assign address_error = reject;

    // ---------------------------------------------------------------- control
    always @(posedge clk) begin
        if (!rst_n || clear) begin
            walk_q <= 1'b0;
            row_q <= 1'b0;
            request_q <= 1'b0;
            outstanding_q <= {COUNT_W{1'b0}};
        end else begin
            if (stop) walk_q <= 1'b0;
            else if (start) walk_q <= 1'b1;
            else if (row_taken && last_row && last_plane) walk_q <= 1'b0;
            if (stop) row_q <= 1'b0;
            else if (row_taken) row_q <= 1'b1;
            else if (row_done) row_q <= 1'b0;
            if (request) request_q <= 1'b1;
            else if (request_ready) request_q <= 1'b0;
            if (request && !response) outstanding_q <= outstanding_q + 1'b1;
            if (!request && response) outstanding_q <= outstanding_q - 1'b1;
        end
    end

    // Bits that carry nothing for some sizes.
    wire unused = &{1'b0, words[12:8], beats[12:8]};
endmodule

`default_nettype wire
