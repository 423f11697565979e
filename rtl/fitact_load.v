// Strided DMA from memory into the on-chip buffers, with zero padding.
//
// Two machines. The address machine (fitact_bursts) requests bursts of whole words; it may run ahead, also into the
// next instructions. The data machine takes the same instructions from a short queue and writes words and
// padding to consecutive buffer words, one word per cycle when data are there.
// After an error or on halt nothing new is requested and outstanding beats are dropped.
`default_nettype none

module fitact_load #(
    parameter BUS_BITS         = 128,
    parameter WORD_BYTES       = 16,           // activation, weight or bound word in memory, a power of two
    parameter BIAS_WORD_BYTES  = 128,          // bias word in memory, a power of two
    parameter WR_DATA_W        = 1024,         // 8 * the larger of the two
    parameter ACTIVATION_WORDS = 4096,         // buffer depths; 0: the buffer does not exist
    parameter WEIGHT_WORDS     = 2048,
    parameter BIAS_WORDS       = 64,
    parameter BOUND_WORDS      = 1024,
    parameter BIAS_BUFFER      = 2,            // value of `buffer` whose words have BIAS_WORD_BYTES
    parameter MAX_OUTSTANDING  = 8,            // read bursts
    parameter DESC_DEPTH       = 4             // instructions between the two machines
) (
    input  wire                 clk,
    input  wire                 rst_n,
    input  wire                 clear,
    input  wire                 halt,
    input  wire [31:0]          window_base,
    input  wire [31:0]          window_last,

    input  wire                 instr_valid,
    output wire                 instr_ready,
    input  wire                 instr_push_next,
    input  wire [1:0]           instr_buffer,
    input  wire [15:0]          instr_buffer_base,
    input  wire [31:0]          instr_mem_addr,
    input  wire [15:0]          instr_cols,
    input  wire [15:0]          instr_rows,
    input  wire [15:0]          instr_planes,
    input  wire [31:0]          instr_row_stride,
    input  wire [31:0]          instr_plane_stride,
    input  wire [7:0]           instr_pad_left,
    input  wire [7:0]           instr_pad_right,
    input  wire [7:0]           instr_pad_top,
    input  wire [7:0]           instr_pad_bottom,

    output wire                 arvalid,
    input  wire                 arready,
    output wire [31:0]          araddr,
    output wire [7:0]           arlen,
    output wire [2:0]           arsize,
    output wire [1:0]           arburst,
    input  wire                 rvalid,
    output wire                 rready,
    input  wire [BUS_BITS-1:0]  rdata,
    input  wire [1:0]           rresp,
    input  wire                 rlast,

    output wire [3:0]           wr_en,         // one hot, bit number = `buffer`
    output wire [15:0]          wr_addr,
    output wire [WR_DATA_W-1:0] wr_data,       // word as it lies in memory

    output wire                 load_start,    // pulse: an instruction was accepted
    output wire                 retire,        // pulse: its last word is being written
    output wire                 push_next,     // pulse, with retire
    output wire                 address_error, // pulse
    output wire                 bus_error,     // pulse
    output wire                 range_error,   // pulse
    output wire                 busy
);
    localparam BUS_BYTES = BUS_BITS / 8;
    // Byte lanes of a beat at which a word can start.
    localparam SMALL_BYTES = (WORD_BYTES < BIAS_WORD_BYTES) ? WORD_BYTES : BIAS_WORD_BYTES;
    localparam GRAIN = (SMALL_BYTES < BUS_BYTES) ? SMALL_BYTES : BUS_BYTES;
    localparam [31:0] LANE_MASK = (BUS_BYTES - 1) & ~(GRAIN - 1);
    localparam [31:0] STEP = WORD_BYTES;
    localparam [31:0] BIAS_STEP = BIAS_WORD_BYTES;
    // Beats of a word are gathered in slots of the write register.
    localparam SLOT_BITS = (WR_DATA_W < BUS_BITS) ? WR_DATA_W : BUS_BITS;
    localparam SLOTS = WR_DATA_W / SLOT_BITS;
    localparam SLOT_W = (SLOTS > 1) ? $clog2(SLOTS) : 1;
    localparam [31:0] LAST_SLOT = (WORD_BYTES > BUS_BYTES) ? WORD_BYTES / BUS_BYTES - 1 : 0;
    localparam [31:0] BIAS_LAST_SLOT = (BIAS_WORD_BYTES > BUS_BYTES) ? BIAS_WORD_BYTES / BUS_BYTES - 1 : 0;
    localparam [31:0] BIAS_ID = BIAS_BUFFER;
    localparam [31:0] DEPTH_0 = ACTIVATION_WORDS;
    localparam [31:0] DEPTH_1 = WEIGHT_WORDS;
    localparam [31:0] DEPTH_2 = BIAS_WORDS;
    localparam [31:0] DEPTH_3 = BOUND_WORDS;
    localparam DESC_W = 99;

    localparam [1:0] BEFORE = 2'd0;     // padding left of a row, or rows above a plane
    localparam [1:0] INSIDE = 2'd1;
    localparam [1:0] BEHIND = 2'd2;     // padding right of a row, or rows below a plane

    reg fault_q;                        // an error of this unit: nothing more until clear
    wire stop = halt | fault_q;
    wire accept = instr_valid & instr_ready;

    // ---------------------------------------------------------------- address machine
    wire walk_ready;
    wire walking;
    wire outstanding;
    wire bad_address;
    wire burst_valid;
    wire burst_end;
    wire [7:0] burst_words;
    wire [5:0] burst_low;

    fitact_bursts #(
        .BUS_BITS(BUS_BITS),
        .WORD_BYTES(WORD_BYTES),
        .WIDE_WORD_BYTES(BIAS_WORD_BYTES),
        .MAX_OUTSTANDING(MAX_OUTSTANDING)
    ) u_bursts (
        .clk(clk),
        .rst_n(rst_n),
        .clear(clear),
        .stop(stop),
        .window_base(window_base),
        .window_last(window_last),
        .start_valid(accept),
        .start_ready(walk_ready),
        .wide(instr_buffer == BIAS_ID[1:0]),
        .mem_addr(instr_mem_addr),
        .cols(instr_cols),
        .rows(instr_rows),
        .planes(instr_planes),
        .row_stride(instr_row_stride),
        .plane_stride(instr_plane_stride),
        .request_valid(arvalid),
        .request_ready(arready),
        .request_addr(araddr),
        .request_len(arlen),
        .request_size(arsize),
        .response(burst_end),
        .burst_valid(burst_valid),
        .burst_ready(burst_end),
        .burst_words(burst_words),
        .burst_low(burst_low),
        .walking(walking),
        .outstanding(outstanding),
        .address_error(bad_address)
    );
    assign arburst = 2'b01;

    // ---------------------------------------------------------------- instructions for the data machine
    wire desc_ready;
    wire desc_valid;
    wire desc_take;
    wire desc_push;
    wire [1:0] desc_buffer;
    wire [15:0] desc_base;
    wire [15:0] desc_cols;
    wire [15:0] desc_rows;
    wire [15:0] desc_planes;
    wire [7:0] desc_pad_left;
    wire [7:0] desc_pad_right;
    wire [7:0] desc_pad_top;
    wire [7:0] desc_pad_bottom;

    fitact_fifo #(
        .WIDTH(DESC_W),
        .DEPTH(DESC_DEPTH)
    ) u_desc (
        .clk(clk),
        .rst_n(rst_n),
        .clear(clear | stop),
        .in_valid(accept),
        .in_ready(desc_ready),
        .in_data({instr_push_next, instr_buffer, instr_buffer_base, instr_cols, instr_rows, instr_planes,
                  instr_pad_left, instr_pad_right, instr_pad_top, instr_pad_bottom}),
        .out_valid(desc_valid),
        .out_ready(desc_take),
        .out_data({desc_push, desc_buffer, desc_base, desc_cols, desc_rows, desc_planes,
                   desc_pad_left, desc_pad_right, desc_pad_top, desc_pad_bottom})
    );
    assign instr_ready = walk_ready & desc_ready & ~stop;

    // ---------------------------------------------------------------- data machine
    reg data_q;                         // an instruction is being written
    reg data_push_q;
    reg [1:0] data_buffer_q;
    reg data_bias_q;
    reg [16:0] write_addr_q;
    reg [16:0] depth_q;                 // of the target buffer
    reg [15:0] cols_q;
    reg [15:0] rows_q;
    reg [15:0] data_planes_q;           // planes left
    reg [7:0] pad_left_q;
    reg [7:0] pad_right_q;
    reg [7:0] pad_top_q;
    reg [7:0] pad_bottom_q;
    reg within_q;                       // a burst has begun: low_q holds the address of its next word
    reg [5:0] low_q;
    reg [1:0] horizontal_q;             // BEFORE, INSIDE, BEHIND the row's data
    reg [1:0] vertical_q;               // the same for the plane's rows
    reg [15:0] column_left_q;           // words left in this horizontal part
    reg [15:0] line_left_q;             // rows left in this vertical part
    reg [SLOT_W-1:0] slot_q;
    reg [WR_DATA_W-1:0] word_q;
    reg [3:0] wr_en_q;
    reg [15:0] wr_addr_q;
    reg retire_q;
    reg push_next_q;
    reg address_error_q;
    reg bus_error_q;
    reg range_error_q;

    wire from_memory = (horizontal_q == INSIDE) & (vertical_q == INSIDE);
    wire gather = data_q & from_memory & ~stop;

    assign rready = gather | stop;

    wire beat = rvalid & gather;
    wire last_slot = slot_q == (data_bias_q ? BIAS_LAST_SLOT[SLOT_W-1:0] : LAST_SLOT[SLOT_W-1:0]);
    wire [5:0] low = within_q ? low_q : burst_low;
    wire pad = data_q & ~from_memory & ~stop;
    wire step = pad | (beat & last_slot);               // one buffer word
    wire part_end = column_left_q == 16'd1;
    wire row_end = part_end & ((horizontal_q == BEHIND) | ((horizontal_q == INSIDE) & (pad_right_q == 8'd0)));
    wire line_end = row_end & (line_left_q == 16'd1);
    wire plane_end = line_end & ((vertical_q == BEHIND) | ((vertical_q == INSIDE) & (pad_bottom_q == 8'd0)));
    wire data_end = step & plane_end & (data_planes_q == 16'd1);
    wire in_range = write_addr_q < depth_q;

    assign burst_end = rvalid & rready & rlast;
    assign desc_take = (~data_q | data_end) & ~stop;
    wire desc_pop = desc_valid & desc_take;

    // Where a row and a plane start: with the padding, if there is any.
    wire [7:0] start_pad_left = desc_pop ? desc_pad_left : pad_left_q;
    wire [15:0] start_cols = desc_pop ? desc_cols : cols_q;
    wire [7:0] start_pad_top = desc_pop ? desc_pad_top : pad_top_q;
    wire [15:0] start_rows = desc_pop ? desc_rows : rows_q;

    always @(posedge clk) begin
        if (desc_pop) begin
            data_push_q <= desc_push;
            data_buffer_q <= desc_buffer;
            data_bias_q <= desc_buffer == BIAS_ID[1:0];
            write_addr_q <= {1'b0, desc_base};
            case (desc_buffer)
                2'd0: depth_q <= DEPTH_0[16:0];
                2'd1: depth_q <= DEPTH_1[16:0];
                2'd2: depth_q <= DEPTH_2[16:0];
                default: depth_q <= DEPTH_3[16:0];
            endcase
            cols_q <= desc_cols;
            rows_q <= desc_rows;
            data_planes_q <= desc_planes;
            pad_left_q <= desc_pad_left;
            pad_right_q <= desc_pad_right;
            pad_top_q <= desc_pad_top;
            pad_bottom_q <= desc_pad_bottom;
        end else if (step) begin
            write_addr_q <= write_addr_q + 17'd1;
            if (plane_end) data_planes_q <= data_planes_q - 16'd1;
        end
        if (beat) low_q <= !last_slot ? low : low + (data_bias_q ? BIAS_STEP[5:0] : STEP[5:0]);

        if (desc_pop || (step && row_end)) begin
            horizontal_q <= (start_pad_left != 8'd0) ? BEFORE : INSIDE;
            column_left_q <= (start_pad_left != 8'd0) ? {8'd0, start_pad_left} : start_cols;
        end else if (step && part_end) begin
            horizontal_q <= (horizontal_q == BEFORE) ? INSIDE : BEHIND;
            column_left_q <= (horizontal_q == BEFORE) ? cols_q : {8'd0, pad_right_q};
        end else if (step) begin
            column_left_q <= column_left_q - 16'd1;
        end

        if (desc_pop || (step && plane_end)) begin
            vertical_q <= (start_pad_top != 8'd0) ? BEFORE : INSIDE;
            line_left_q <= (start_pad_top != 8'd0) ? {8'd0, start_pad_top} : start_rows;
        end else if (step && line_end) begin
            vertical_q <= (vertical_q == BEFORE) ? INSIDE : BEHIND;
            line_left_q <= (vertical_q == BEFORE) ? rows_q : {8'd0, pad_bottom_q};
        end else if (step && row_end) begin
            line_left_q <= line_left_q - 16'd1;
        end
    end

    // The write register: beats gather in it, and it stands for one cycle after a word's last beat.
    wire [BUS_BITS-1:0] lanes = rdata >> {low & LANE_MASK[5:0], 3'd0};

    integer i;
    always @(posedge clk) begin
        if (pad) word_q <= {WR_DATA_W{1'b0}};
        else if (beat) begin
            for (i = 0; i < SLOTS; i = i + 1) begin
                if (slot_q == i[SLOT_W-1:0]) word_q[i*SLOT_BITS +: SLOT_BITS] <= lanes[SLOT_BITS-1:0];
            end
        end
        if (step) wr_addr_q <= write_addr_q[15:0];
    end

    assign wr_en = wr_en_q;
    assign wr_addr = wr_addr_q;
    assign wr_data = word_q;
    assign load_start = accept;
    assign retire = retire_q;
    assign push_next = push_next_q;
    assign address_error = address_error_q;
    assign bus_error = bus_error_q;
    assign range_error = range_error_q;
    assign busy = walking | outstanding | desc_valid | data_q | (|wr_en_q) | retire_q;

    // ---------------------------------------------------------------- control
    wire bad_response = beat & (rresp != 2'b00);
    wire bad_range = step & ~in_range;

    always @(posedge clk) begin
        if (!rst_n || clear) begin
            fault_q <= 1'b0;
            data_q <= 1'b0;
            within_q <= 1'b0;
            slot_q <= {SLOT_W{1'b0}};
            wr_en_q <= 4'd0;
            retire_q <= 1'b0;
            push_next_q <= 1'b0;
            address_error_q <= 1'b0;
            bus_error_q <= 1'b0;
            range_error_q <= 1'b0;
        end else begin
            address_error_q <= bad_address;
            bus_error_q <= bad_response;
            range_error_q <= bad_range;
            if (bad_address || bad_response || bad_range) fault_q <= 1'b1;

            if (stop) data_q <= 1'b0;
            else if (desc_pop) data_q <= 1'b1;
            else if (data_end) data_q <= 1'b0;
            if (beat) within_q <= ~rlast;
            if (beat) slot_q <= last_slot ? {SLOT_W{1'b0}} : slot_q + 1'b1;
            wr_en_q <= (step && in_range) ? (4'd1 << data_buffer_q) : 4'd0;
            retire_q <= data_end & in_range;
            push_next_q <= data_end & in_range & data_push_q;
        end
    end

    // Bits that carry nothing for some sizes.
    wire unused = &{1'b0, burst_valid, burst_words, lanes, low};
endmodule

`default_nettype wire
